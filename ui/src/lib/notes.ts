/** What is said under a field, in the window's language. */

import type { Note } from "./types";
import type { Words } from "./words/en";

export function say(note: Note, t: Words): string {
  const { params } = note;
  // The engine's words follow a field's name; here they stand alone.
  const message = note.message.charAt(0).toUpperCase() + note.message.slice(1);
  const words = t.form.notes;
  switch (note.code) {
    case "invalid":
      return words.invalid(message);
    case "required":
      return words.required;
    case "unknown":
      return words.unknown;
    case "locked":
      return words.locked;
    case "conflict":
      return words.conflict(message);
    case "port_taken":
      return words.portTaken(params["owner"], params["free"]);
    case "file":
      return words.file(message);
    case "broken_file":
      return words.brokenFile(message);
    case "not_saved":
      return words.notSaved(message);
    case "reachability":
      return words.reachability(params["reachability"] ?? "");
    case "overridden":
      return words.overridden(params["from"] ?? "");
    case "restart":
      return words.restart;
  }
}

/** A text field's value as a port: digits become a number, anything else stays for the engine to judge. */
export function port(text: string): number {
  const trimmed = text.trim();
  // Not a number yet, and yet in the place of one: the engine says what is wrong with it.
  return /^\d{1,9}$/.test(trimmed) ? Number(trimmed) : (trimmed as unknown as number);
}

/** An optional text: empty is none. */
export function optional(text: string): string | null {
  return text.trim() === "" ? null : text;
}
