/** The configuration in effect, as the engine tells it. Forms are made of it. */

import { bridge } from "./bridge";
import type { SettingsChange, SettingsView } from "./types";
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

  /** Saves a change of settings that need no Save button; why it could not, or null. */
  async apply(change: SettingsChange): Promise<string | null> {
    try {
      const answer = await bridge.ask({ do: "save_settings", change });
      await this.load();
      if (answer.is === "saved") return null;
      if (answer.is === "checked") return answer.problems[0]?.message ?? "";
      return answer.is === "error" ? answer.message : answer.is;
    } catch (error) {
      return String(error);
    }
  }
}

export const settings = new Settings();
