/** Keys that work on every page. */

import { bridge } from "./bridge";
import { PAGES } from "./page_names";
import { go } from "./pages.svelte";

/** The search field while it is on the page. */
let field: HTMLInputElement | null = null;
let wanted = false;

/** For the search field itself. */
export function search(node: Element): () => void {
  field = node as HTMLInputElement;
  if (wanted) field.focus();
  wanted = false;
  return () => (field = null);
}

function find(): void {
  if (field) field.select();
  else {
    wanted = true;
    go("requests");
  }
}

/** Obeys a key, if it is one of ours. */
export function onShortcut(event: KeyboardEvent): void {
  const control = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  const nth = PAGES[Number(event.key) - 1];
  if (event.key === "F1") go("diagnostics");
  else if (!control) return;
  else if (event.key === "f") find();
  else if (event.key === ",") go("settings");
  else if (event.key === "w") void bridge.closeWindow();
  else if (nth) go(nth);
  else return;
  event.preventDefault();
}

/** A web page's own menu (Back, Reload) has no place here; in a field it has Copy and Paste. */
export function onContextMenu(event: Event): void {
  const target = event.target as Element;
  const text = target.closest("input, textarea, [data-selectable]");
  if (!text && getSelection()?.isCollapsed !== false) event.preventDefault();
}
