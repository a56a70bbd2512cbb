// Adds to a page that is whole without it: what a dot stands for where the pointer is, and buttons that copy.
(() => {
  "use strict";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const show = (mark, x, y) => {
    tip.textContent = mark.dataset.told;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(x + 12, 6), window.innerWidth - box.width - 6);
    const below = y + 14 + box.height < window.innerHeight;
    tip.style.left = left + "px";
    tip.style.top = (below ? y + 14 : Math.max(y - box.height - 12, 6)) + "px";
  };
  for (const mark of document.querySelectorAll(".dot")) {
    const title = mark.querySelector("title");
    if (!title) continue;
    mark.dataset.told = title.textContent;
    title.remove(); // or the browser would show it a second time
    mark.addEventListener("pointerenter", (event) => show(mark, event.clientX, event.clientY));
    mark.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") tip.hidden = true; });
    const link = mark.closest("a");
    if (link) {
      // a tap shows what a dot stands for and stays here; a click or the Enter key goes to the network
      let tapped = false;
      link.addEventListener("pointerdown", (event) => { tapped = event.pointerType !== "mouse"; });
      link.addEventListener("keydown", () => { tapped = false; });
      link.addEventListener("click", (event) => {
        if (!tapped) return;
        event.preventDefault();
        show(mark, event.clientX, event.clientY);
      });
      link.addEventListener("focus", () => {
        const box = mark.getBoundingClientRect();
        show(mark, box.right, box.bottom);
      });
      link.addEventListener("blur", () => { tip.hidden = true; });
    }
  }
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".dot")) tip.hidden = true;
  });
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
  window.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();

  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "copied";
      } catch { // a file that was opened from a disk may not be allowed to: select it instead
        const range = document.createRange();
        range.selectNodeContents(source);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        button.textContent = document.execCommand("copy") ? "copied" : "selected";
      }
      setTimeout(() => { button.textContent = "copy"; }, 1600);
    });
  }
})();
