/** The applications that use the proxy, while their page is open: the engine looks up programs only then. */

import { bridge } from "./bridge";
import type { Answer, ApplicationView, ProgramView } from "./types";
import type { Words } from "./words/en";

/** After the engine is gone the list is asked for again. */
const AGAIN_MS = 1_000;

export class Applications {
  /** The latest first; null until they are known. */
  list: ApplicationView[] | null = $state.raw(null);

  /** Follows them until the returned function is called. */
  follow(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let close = () => {};
    const open = () => {
      close = bridge.open({ do: "applications" }, (answers) => this.take(answers), () => {
        timer = setTimeout(open, AGAIN_MS);
      });
    };
    open();
    return () => {
      clearTimeout(timer);
      close();
    };
  }

  take(answers: Answer[]): void {
    const last = answers.findLast((it) => it.is === "applications");
    if (last) this.list = last.applications;
  }
}

/** "Python (sync.py)". */
export function programName({ name, runs }: ProgramView): string {
  return runs ? `${name} (${runs})` : name;
}

/** Whether an application works, in a sentence. */
export function verdict(it: ApplicationView, t: Words): { ok: boolean; text: string } {
  if (it.latest_failed === 0 || !it.last_failure) return { ok: true, text: t.applications.works };
  const { status, host } = it.last_failure;
  const text = t.applications.failing(it.latest_failed, it.latest, `${status ?? t.requests.noStatus}`, host);
  return { ok: false, text };
}
