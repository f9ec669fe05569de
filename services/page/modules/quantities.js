/** Numbers as people read them. */

const whole = new Intl.NumberFormat("en");
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** 12,345. @param {number} value */
export const count = (value) => whole.format(value);

/** Three significant digits. @param {number} value */
export const short = (value) => three.format(value);

/** 12 %. @param {number} share */
export const percent = (share) => `${three.format(100 * share)} %`;

/** 4 min 10 s. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return `${seconds < 10 ? three.format(seconds) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 10) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** 1.2 MB. @param {number} value */
export function bytes(value) {
  const step = Math.min(Math.floor(Math.log10(Math.max(value, 1)) / 3), 4);
  return `${three.format(value / 1000 ** step)} ${["B", "kB", "MB", "GB", "TB"][step]}`;
}
