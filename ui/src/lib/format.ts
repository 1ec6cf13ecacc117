/** Numbers and times for people. Numbers carry units; times are relative while recent, absolute otherwise. */

const KILO = 1000;

/** Formatters by what they do. Making one costs a millisecond in WebKit, and a list of requests needs many. */
const made = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function once<T extends Intl.NumberFormat | Intl.DateTimeFormat>(key: string, make: () => T): T {
  let format = made.get(key) as T | undefined;
  if (!format) made.set(key, (format = make()));
  return format;
}

function number(value: number, digits: number, lang: string): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return once(`${lang} ${digits}`, () => new Intl.NumberFormat(lang, options)).format(value);
}

function date(name: string, lang: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return once(`${lang} ${name}`, () => new Intl.DateTimeFormat(lang, options));
}

/** Two or three figures: "1.1", "12", "131". */
function figures(value: number, lang: string): string {
  return number(value, value < 9.95 ? 1 : 0, lang);
}

/** "84 ms", "1.2 s", "3 min". */
export function duration(ms: number, lang: string): string {
  if (ms < 0.05) return "0 ms";
  if (ms < 999.5) return `${figures(ms, lang)} ms`;
  const seconds = ms / 1000;
  if (seconds < 119.5) return `${figures(seconds, lang)} s`;
  const minutes = seconds / 60;
  if (minutes < 119.5) return `${number(minutes, 0, lang)} min`;
  return `${number(minutes / 60, 0, lang)} h`;
}

/** Whole seconds at least: ages and waits, where tenths would only flicker. */
export function coarse(ms: number, lang: string): string {
  return ms < 119_500 ? `${number(Math.floor(ms / 1000), 0, lang)} s` : duration(ms, lang);
}

/** "512 B", "12 kB", "3.1 MB". */
export function bytes(count: number, lang: string): string {
  if (count < KILO) return `${number(count, 0, lang)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count / KILO;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= KILO;
    unit += 1;
  }
  return `${figures(value, lang)} ${units[unit]}`;
}

/** "3.1 MB/s". */
export function rate(bytesPerSecond: number, lang: string): string {
  return `${bytes(Math.round(bytesPerSecond), lang)}/s`;
}

/** "09:12:07", with the day in front when that is not the day of `now`. */
export function clock(ms: number, now: number, lang: string, seconds = true): string {
  const then = new Date(ms);
  const time = date(seconds ? "seconds" : "minutes", lang, {
    hour: "2-digit",
    minute: "2-digit",
    second: seconds ? "2-digit" : undefined,
    hourCycle: "h23",
  }).format(then);
  const today = then.toDateString() === new Date(now).toDateString();
  return today ? time : `${date("short day", lang, { day: "numeric", month: "short" }).format(then)} ${time}`;
}

/** A day of a certificate, `YYYY-MM-DD`, as people write it. */
export function day(iso: string, lang: string): string {
  const then = new Date(`${iso}T00:00:00`);
  if (Number.isNaN(then.getTime())) return iso;
  return date("day", lang, { day: "numeric", month: "long", year: "numeric" }).format(then);
}
