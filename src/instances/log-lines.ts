/** `2026-11-22 17:11:35.123 UTC [4711] my_app_4553@my_app_4553 LOG:  …`, as `log_line_prefix` has it. */
const LINE = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC (.*)$/s;
/** A password in a statement that its author sent in clear: the server quotes a statement that fails. */
const PASSWORD = /\b(password\s+)(?:E?'(?:[^'\\]|''|\\.)*'?|\$(\w*)\$.*?(?:\$\2\$|$))/gis;
/** Stands before the first line of a log that begins in the middle of an entry. */
const NO_TIME = "1970-01-01 00:00:00.000";

/**
 * Turns lines of a server's log into those that clients of the API know: a time with its zone, the name of the instance, the text. An entry of several lines
 * has the time of its first on each. Text behind the word PASSWORD is left out. One formatter for one log, read in order.
 */
export function logLineFormatter(instance: string): (line: string) => string {
  let time = NO_TIME;
  return (line) => {
    const [, ownTime, text] = LINE.exec(line) ?? [];
    time = ownTime ?? time;
    return `${time} +0000 UTC [${instance}] ${hidePasswords(text ?? line)}\n`;
  };
}

/** When this line's entry was logged; undefined for a line that continues one. */
export function logLineTime(line: string): Date | undefined {
  const [, time] = LINE.exec(line) ?? [];
  return time === undefined ? undefined : new Date(`${time.replace(" ", "T")}Z`);
}

function hidePasswords(text: string): string {
  return text.replaceAll(PASSWORD, "$1'********'");
}
