/* Which kernels this x86-64 processor runs, and whether its operating system keeps their registers.
 *
 * By the instructions that tell it: __builtin_cpu_supports needs a library of the compiler's, and that of the one that
 * builds wheels answers no to everything.
 */
#include <cpuid.h>

/* The registers that the operating system saves: bits 1 and 2 for AVX, 5 to 7 for AVX-512; 0 where it does not tell. */
static uint32_t saved_registers(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

/* AVX2; and AVX-512 with F, BW, DQ, VL and VPOPCNTDQ, beside BMI2. */
static int processor_runs(int level) {
    const uint32_t avx2 = 1u << 5, avx512 = avx2 | 1u << 8 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    const uint32_t saved = saved_registers();
    uint32_t a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    if (level == LEVEL_AVX2) return (saved & 0x06) == 0x06 && (b & avx2) == avx2;
    return level == LEVEL_AVX512 && (saved & 0xe6) == 0xe6 && (b & avx512) == avx512 && (c >> 14 & 1);
}
