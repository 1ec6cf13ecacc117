/**
 * A form over some settings: what was typed, what the engine says about it, and saving it whole or not
 * at all. Which values are right, only the engine knows.
 */

import { bridge } from "./bridge";
import { settings } from "./settings.svelte";
import type { AuthorityView, JsonValue, Note, SettingsChange, SettingsView, SettingValues } from "./types";

/** A pause in typing after which it is checked. */
const PAUSE_MS = 250;

export type Key = keyof SettingValues;

/** Values as typed: a port may be a text that is none yet. */
type Draft<K extends Key> = { [P in K]: SettingValues[P] };

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

export class Form<K extends Key> {
  /** What the fields show. */
  draft: Draft<K> | null = $state(null);
  problems: Note[] = $state.raw([]);
  advice: Note[] = $state.raw([]);
  /** Who may issue each gateway's certificate, in the order of the gateways; null for the public CAs. */
  authorities: (AuthorityView | null)[] = $state.raw([]);
  saving = $state(false);
  /** Start at login; null where that cannot be chosen. It is no setting of the file. */
  autostart: boolean | null = $state(null);
  /** What was said when it was saved; null after the next change. */
  saved: { restart: boolean } | null = $state.raw(null);

  readonly keys: readonly K[];
  /** Takes out what a form adds for typing's sake, an empty row for instance. */
  readonly #clean: (draft: Draft<K>) => Draft<K>;
  #shown: SettingsView | null = $state.raw(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #checks = 0;

  constructor(keys: readonly K[], clean: (draft: Draft<K>) => Draft<K> = (draft) => draft) {
    this.keys = keys;
    this.#clean = clean;
  }

  /** Shows settings that were read; what has been typed stays. */
  show(view: SettingsView | null): void {
    if (!view || view === this.#shown) return;
    const old = this.#shown;
    this.#shown = view;
    const fresh = this.#values(view);
    const typed = this.draft;
    if (old && typed) {
      const clean = this.#clean(typed);
      const before = this.#values(old);
      for (const key of this.keys) if (!same(clean[key], before[key])) fresh[key] = typed[key];
    }
    this.draft = fresh;
    if (!old || this.autostart === old.autostart) this.autostart = view.autostart;
    this.advice = view.advice;
    this.authorities = view.authorities;
  }

  #values(view: SettingsView): Draft<K> {
    const entries = this.keys.map((key) => [key, structuredClone(view.values[key].value)]);
    return Object.fromEntries(entries) as Draft<K>;
  }

  /** What differs from what is in effect. */
  get change(): SettingsChange {
    const values: { [P in Key]?: JsonValue } = {};
    if (this.draft && this.#shown) {
      const clean = this.#clean($state.snapshot(this.draft) as Draft<K>);
      for (const key of this.keys) {
        if (!same(clean[key], this.#shown.values[key].value)) values[key] = clean[key] as JsonValue;
      }
    }
    const start = this.autostart;
    return start !== null && start !== this.#shown?.autostart ? { values, autostart: start } : { values };
  }

  get changed(): boolean {
    const { values, autostart } = this.change;
    return Object.keys(values).length > 0 || autostart !== undefined;
  }

  locked(key: K): boolean {
    return this.#shown?.values[key].locked ?? false;
  }

  /** Where a value comes from that the file cannot change. */
  overridden(key: K): string | null {
    const field = this.#shown?.values[key];
    return field && (field.origin === "environment" || field.origin === "command_line") ? field.from : null;
  }

  /** What is to be said under a field: problems first. */
  note(field: string): { note: Note; wrong: boolean } | null {
    // Port 443 is as good as it gets: nothing to say.
    const here = (it: Note) => it.field === field && !(it.code === "reachability" && it.params["port"] === "443");
    const problem = this.problems.find(here);
    if (problem) return { note: problem, wrong: true };
    const advice = this.advice.find(here);
    return advice ? { note: advice, wrong: false } : null;
  }

  /** Something was typed: it is checked after a pause. */
  touched(): void {
    this.saved = null;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.check(), PAUSE_MS);
  }

  /** Asks the engine what it says to the change. */
  async check(): Promise<void> {
    clearTimeout(this.#timer);
    const check = ++this.#checks;
    const answer = await bridge.ask({ do: "check_settings", change: this.change }).catch(() => null);
    // A later one knows more.
    if (check === this.#checks && answer?.is === "checked") {
      this.problems = answer.problems;
      this.advice = answer.advice;
      if (this.change.values.gateway !== undefined) this.authorities = answer.authorities;
    }
  }

  revert(): void {
    this.problems = [];
    if (this.#shown) {
      this.draft = this.#values(this.#shown);
      this.advice = this.#shown.advice;
      this.authorities = this.#shown.authorities;
      this.autostart = this.#shown.autostart;
    }
    this.saved = null;
  }

  /** Saves all of it, or nothing; whether it did. */
  async save(): Promise<boolean> {
    if (!this.changed) return true;
    clearTimeout(this.#timer);
    this.#checks += 1;
    this.saving = true;
    try {
      const answer = await bridge.ask({ do: "save_settings", change: this.change });
      if (answer.is === "checked") {
        this.problems = answer.problems;
        this.advice = answer.advice;
        return false;
      }
      if (answer.is !== "saved") {
        this.problems = [whole(answer.is === "error" ? answer.message : answer.is)];
        return false;
      }
      this.problems = [];
      // Nothing of the draft is to be kept: it is what is in effect now.
      this.#shown = null;
      await settings.load();
      this.show(settings.view);
      this.saved = { restart: answer.restart_for.length > 0 };
      return true;
    } catch (error) {
      this.problems = [whole(String(error))];
      return false;
    } finally {
      this.saving = false;
    }
  }
}

/** A problem of no field in particular. */
function whole(message: string): Note {
  return { field: "", message, code: "not_saved", params: {} };
}
