/** Which page is shown. It stands in the address, so that a reload comes back to it. */

import { bridge } from "./bridge";
import { firstRun } from "./first_run.svelte";
import { PAGES, type Page } from "./page_names";

function isPage(name: string): name is Page {
  return (PAGES as readonly string[]).includes(name);
}

function fromAddress(): Page {
  const name = location.hash.slice(1);
  return isPage(name) ? name : "overview";
}

let page: Page = $state(fromAddress());

export function current(): Page {
  return page;
}

/**
 * Shows a page; a name that is none is ignored. Setup gives way to every page but the overview, which it
 * stands for: a button that leads to a page must lead there.
 */
export function go(name: string): void {
  if (!isPage(name)) return;
  if (name !== "overview") firstRun.giveWay();
  page = name;
  history.replaceState(null, "", `#${name}`);
}

/** Goes where the window was asked to open, now and whenever it is asked again. */
export function followRequests(): void {
  addEventListener("hashchange", () => (page = fromAddress()));
  bridge.onPage(go);
  bridge.page().then(
    (name) => name && go(name),
    () => {},
  );
}
