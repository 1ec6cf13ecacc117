/** The forms of the pages. They live as long as the window, so that a change of page loses nothing that was typed. */

import { Form } from "./form.svelte";
import { isBlank } from "./gateways";
import type { Page } from "./page_names";

export const SUBJECT = [
  ["identity.common_name", "commonName"],
  ["identity.organization", "organization"],
  ["identity.unit", "unit"],
  ["identity.country", "country"],
  ["identity.email", "email"],
  ["identity.application", "application"],
] as const;

class Drafts {
  readonly gateway = new Form(
    ["gateway", "upstream.proxy", "upstream.credentials_file", "upstream.connect_by"],
    (draft) => ({ ...draft, gateway: draft.gateway.filter((it) => !isBlank(it)) }),
  );
  readonly identity = new Form([
    "identity.enroll",
    "identity.key_store",
    "identity.key_bits",
    "identity.characteristics",
    ...SUBJECT.map(([key]) => key),
  ]);
  readonly proxy = new Form([
    "proxy.port",
    "proxy.listen",
    "proxy.allow_remote",
    "proxy.credentials_file",
    "proxy.map",
    "route",
    "reverse",
  ]);

  /** Whether a page has changes that are not saved. */
  unsaved(page: Page): boolean {
    const forms: { [P in Page]?: { changed: boolean } } = { gateway: this.gateway, identity: this.identity, proxy: this.proxy };
    return forms[page]?.changed ?? false;
  }
}

export const drafts = new Drafts();
