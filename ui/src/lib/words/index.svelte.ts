/** The language of the window. */

import { cs } from "./cs";
import { en, type Words } from "./en";

export const LANGUAGES = { en, cs } satisfies Record<string, Words>;
export type Language = keyof typeof LANGUAGES;

function isLanguage(word: string): word is Language {
  return Object.hasOwn(LANGUAGES, word);
}

/** The desktop's language, as far as we speak it. */
function desktops(): Language {
  for (const wish of navigator.languages) {
    const word = wish.split("-")[0] ?? "";
    if (isLanguage(word)) return word;
  }
  return "en";
}

let language: Language = $state(desktops());

/** The language's code, as `Intl` and `lang` take it. */
export function lang(): Language {
  return language;
}

/** The same for numbers and days; our English is British. */
export function locale(): string {
  return language === "en" ? "en-GB" : language;
}

/** The words. */
export function t(): Words {
  return LANGUAGES[language];
}

/** Follows a setting; anything but a language of ours is the desktop's own. */
export function speak(wish: string | null): void {
  language = wish && isLanguage(wish) ? wish : desktops();
}
