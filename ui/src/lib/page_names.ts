/** The pages, as `--page` names them. */
export const PAGES = [
  "overview",
  "requests",
  "applications",
  "gateway",
  "identity",
  "proxy",
  "diagnostics",
  "settings",
  "about",
] as const;

export type Page = (typeof PAGES)[number];
