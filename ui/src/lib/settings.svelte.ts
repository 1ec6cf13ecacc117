/** The configuration in effect, as the engine tells it. Forms are made of it. */

import { bridge } from "./bridge";
import type { SettingsView } from "./types";
import { speak } from "./words/index.svelte";

class Settings {
  /** What is in effect; null until it has been read. */
  view: SettingsView | null = $state.raw(null);
  /** Why it could not be read. */
  problem: string | null = $state(null);

  /** Reads it again. */
  async load(): Promise<void> {
    try {
      const answer = await bridge.ask({ do: "settings" });
      if (answer.is === "settings") {
        this.view = answer.settings;
        this.problem = null;
        speak(answer.settings.values["desktop.language"].value);
      } else if (answer.is === "error") this.problem = answer.message;
    } catch (error) {
      this.problem = String(error);
    }
  }
}

export const settings = new Settings();
