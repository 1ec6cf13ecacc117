// What is wrong with the layout of the page that is shown, a line each. The body of a function: it is run in
// Chromium (layout.test.ts) and in WebKit (tests/tests/window/layout.rs).
const faults = [];
const root = document.documentElement;
if (root.scrollHeight > innerHeight) faults.push(`the document is ${root.scrollHeight} px high`);
if (root.scrollWidth > innerWidth) faults.push(`the document is ${root.scrollWidth} px wide`);
const main = document.getElementById("content");
main.scrollTop = main.scrollHeight;
if (scrollY !== 0 || main.getBoundingClientRect().top < 0) faults.push("the page scrolls the window");
main.scrollTop = 0;
// Only a path or a host may be longer than its place, and then says so by dots.
const labels = "h1, h2, button, label, legend, dt, nav button, [role=columnheader], [data-testid=request-row] .number";
for (const element of document.querySelectorAll(labels)) {
  if (element.closest(".hush") || !element.checkVisibility()) continue;
  if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible")
    faults.push(`cut: ${element.textContent.trim().slice(0, 40)}`);
}
const shown = [...document.querySelectorAll("main button, main input, main select, main textarea")];
const boxes = shown.filter((it) => it.checkVisibility() && !it.closest(".head, .bar, nav")).map((it) => [it, it.getBoundingClientRect()]);
for (const [i, [a, x]] of boxes.entries())
  for (const [b, y] of boxes.slice(i + 1))
    if (x.left + 1 < y.right && y.left + 1 < x.right && x.top + 1 < y.bottom && y.top + 1 < x.bottom)
      faults.push(`${a.dataset.testid ?? a.textContent.trim()} overlaps ${b.dataset.testid ?? b.textContent.trim()}`);
return faults;
