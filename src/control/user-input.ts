import { TidemarkError } from "../core/errors.ts";

const USERNAME = /^[a-z][a-z0-9-]{1,31}$/;
/** Enough to catch a slip; only a mail that arrives proves an address. */
const EMAIL = /^[^\s@<>"]+@[^\s@<>"]+$/;
const EMAIL_CHARACTERS_MAX = 254;
const FULLNAME_CHARACTERS_MAX = 100;
/** NIST SP 800-63B asks for 8 at least; the upper bound keeps a hash's work bounded. */
const PASSWORD_CHARACTERS_MIN = 8;
const PASSWORD_CHARACTERS_MAX = 256;
const NAME_CHARACTERS_MAX = 100;
/** 48, so that the resource id made of it (`_` and a number behind) fits PostgreSQL's 63 bytes. */
const APP_NAME = /^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$/;
/** `/v1/apps/collaboration` is no app's address. */
const INVITATIONS = "collaboration";
/** Bounds of names and passwords as clients of the API check them. */
const DATABASE_USER_NAME = /^[a-z][a-z0-9_-]{5,31}$/;
const DATABASE_PASSWORD = /^[\x20-\x7e]{24,64}$/;
/** PostgreSQL's own, and ours. */
const RESERVED_ROLE_NAME = /^(pg_|tidemark|public$|postgres$)/;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]/;

type Fields = Record<string, string[]>;

/** Checks all fields at once; `invalid_fields` says every one that is wrong. */
export function readNewUser(input: { username: string; email: string; fullname: string; password: string }): {
  username: string;
  email: string;
  fullname: string;
  password: string;
} {
  const fields: Fields = {};
  if (!USERNAME.test(input.username)) {
    fields["username"] = [
      "must be 2 to 32 characters: lower-case letters, digits and hyphens, beginning with a letter",
    ];
  }
  refuse({ ...fields, ...wrongAccountFields(input) });
  return input;
}

/** Checks what is given; `invalid_fields` says every field that is wrong. */
export function readAccountChange<Change extends Parameters<typeof wrongAccountFields>[0]>(change: Change): Change {
  refuse(wrongAccountFields(change));
  return change;
}

function wrongAccountFields({
  email,
  fullname,
  password,
}: {
  readonly email?: string | undefined;
  readonly fullname?: string | undefined;
  readonly password?: string | undefined;
}): Fields {
  const fields: Fields = {};
  if (email !== undefined && !isEmail(email)) fields["email"] = ["is not an e-mail address"];
  if (fullname !== undefined && (fullname.length > FULLNAME_CHARACTERS_MAX || CONTROL_CHARACTERS.test(fullname))) {
    fields["fullname"] = [`must be ${FULLNAME_CHARACTERS_MAX} characters at most, without control characters`];
  }
  if (password !== undefined && !isPassword(password)) {
    fields["password"] = [`must be ${PASSWORD_CHARACTERS_MIN} to ${PASSWORD_CHARACTERS_MAX} characters`];
  }
  return fields;
}

function isPassword(text: string): boolean {
  return text.length >= PASSWORD_CHARACTERS_MIN && text.length <= PASSWORD_CHARACTERS_MAX;
}

export function isEmail(text: string): boolean {
  return EMAIL.test(text) && text.length <= EMAIL_CHARACTERS_MAX;
}

/** The name that a user gives a token or a key. */
export function readLabel(name: string): string {
  const trimmed = name.trim();
  if (trimmed === "" || trimmed.length > NAME_CHARACTERS_MAX || CONTROL_CHARACTERS.test(trimmed)) {
    refuse({ name: [`must be 1 to ${NAME_CHARACTERS_MAX} characters, without control characters`] });
  }
  return trimmed;
}

export function readAppName(name: string): string {
  if (!APP_NAME.test(name)) {
    refuse({ name: ["must be 1 to 48 characters: lower-case letters, digits and hyphens, no hyphen at either end"] });
  }
  if (name === INVITATIONS) refuse({ name: ["is taken by the API: invitations are accepted there"] });
  return name;
}

/** A role of a database. */
export function readDatabaseUserName(name: string): string {
  if (!DATABASE_USER_NAME.test(name) || RESERVED_ROLE_NAME.test(name)) {
    refuse({
      name: [
        "must be 6 to 32 characters: lower-case letters, digits, hyphens and underscores, beginning with a letter; not with pg_ or tidemark",
      ],
    });
  }
  return name;
}

/** Of a role of a database. Other characters would be changed on their way to PostgreSQL's verifier. */
export function readDatabasePassword(password: string): string {
  if (!DATABASE_PASSWORD.test(password)) {
    refuse({ password: ["must be 24 to 64 characters of printable ASCII"] });
  }
  return password;
}

function refuse(fields: Fields): void {
  const names = Object.keys(fields);
  if (names.length === 0) return;
  const text = names.map((name) => `${name} ${(fields[name] ?? []).join(", ")}`).join("; ");
  throw new TidemarkError("invalid_fields", `Not allowed: ${text}`, { fields });
}
