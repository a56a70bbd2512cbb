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
  let kept = null; // the mark whose words stay because it was tapped
  const hide = () => { tip.hidden = true; kept = null; };
  for (const mark of document.querySelectorAll(".dot")) {
    const title = mark.querySelector("title");
    if (!title) continue;
    mark.dataset.told = title.textContent;
    title.remove(); // or the browser would show it a second time
    // a finger has no place while it is not down: its tap shows the words until the next tap elsewhere
    const pointed = (event) => event.pointerType !== "touch";
    mark.addEventListener("pointerenter", (event) => { if (pointed(event)) show(mark, event.clientX, event.clientY); });
    mark.addEventListener("pointerleave", (event) => { if (pointed(event)) hide(); });
    const link = mark.closest("a");
    (link || mark).addEventListener("click", (event) => {
      if (pointed(event) || kept === mark) return; // a second tap follows the link
      event.preventDefault();
      event.stopPropagation();
      show(mark, event.clientX, event.clientY);
      kept = mark;
    });
    if (link) {
      link.addEventListener("focus", () => {
        const box = mark.getBoundingClientRect();
        show(mark, box.right, box.bottom);
      });
      link.addEventListener("blur", hide);
    }
  }
  document.addEventListener("click", hide);
  window.addEventListener("scroll", hide, { passive: true });

  const wide = document.querySelectorAll(".wide, pre");
  const reachByKeys = () => {
    for (const part of wide) {
      const scrolls = part.scrollWidth > part.clientWidth;
      const said = part.dataset.name ? { role: "region", "aria-label": part.dataset.name } : {};
      for (const [name, value] of Object.entries({ tabindex: "0", ...said })) {
        if (scrolls) part.setAttribute(name, value);
        else part.removeAttribute(name);
      }
    }
  };
  window.addEventListener("resize", reachByKeys, { passive: true });
  document.addEventListener("toggle", reachByKeys, true); // what opens may be wide

  const opened = [];
  window.addEventListener("beforeprint", () => {
    opened.push(...document.querySelectorAll("details:not([open])"));
    for (const part of opened) part.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const part of opened.splice(0)) part.open = false;
  });

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
  reachByKeys(); // the buttons take room
})();
