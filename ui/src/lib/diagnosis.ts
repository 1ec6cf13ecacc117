/** What the diagnosis is to ask for, when a person comes to it from one request. */

import type { AccessView } from "./types";

export interface Subject {
  host: string;
  path?: string;
}

let subject: Subject | null = null;

/** The subject, once: who comes again by the side bar asks about everything. */
export function takeSubject(): Subject | null {
  const taken = subject;
  subject = null;
  return taken;
}

/** Chooses the subject of the next diagnosis; a request that may change something is not repeated. */
export function setSubject({ host, path, method }: Pick<AccessView, "host" | "path" | "method">): void {
  const repeatable = method === "GET" || method === "HEAD";
  subject = repeatable && path.startsWith("/") ? { host, path } : { host };
}
