import { assert } from "../core/assert.ts";

/**
 * Every object's name. Names hold ids only, never the name of a database, table or owner; docs/format.md lists them.
 *
 * Archives have a name per attempt, so that an attempt that is thought dead and is not can't write over the bytes that a manifest names.
 */
export const REPOSITORY_MARKER_KEY = "tidemark-repository.json";
export const DATABASE_KEYS_PREFIX = "keys/";

const DATABASE_KEY_SUFFIX = ".age";
const MANIFEST_SUFFIX = ".json.zst.age";
const ARCHIVE_SUFFIX = ".tar.gz.age";

const DATABASE_ID = /^[a-z0-9][a-z0-9-]{0,79}$/;
const BACKUP_ID = /^[0-9a-f]{24}$/;
const ATTEMPT = /^[0-9a-f]{8}$/;

/** The wrapped identity of one database. */
export function databaseKeyKey(databaseId: string): string {
  return `${DATABASE_KEYS_PREFIX}${checkedDatabaseId(databaseId)}${DATABASE_KEY_SUFFIX}`;
}

/** The database of a `databaseKeyKey`, undefined for any other name. */
export function databaseIdOfKey(key: string): string | undefined {
  if (!key.startsWith(DATABASE_KEYS_PREFIX) || !key.endsWith(DATABASE_KEY_SUFFIX)) return undefined;
  const id = key.slice(DATABASE_KEYS_PREFIX.length, -DATABASE_KEY_SUFFIX.length);
  return DATABASE_ID.test(id) ? id : undefined;
}

/** All that belongs to one database, its key excepted. */
export function databasePrefix(databaseId: string): string {
  return `databases/${checkedDatabaseId(databaseId)}/`;
}

export function logicalManifestsPrefix(databaseId: string): string {
  return `${databasePrefix(databaseId)}logical/manifests/`;
}

export function logicalManifestKey(databaseId: string, backupId: string): string {
  return `${logicalManifestsPrefix(databaseId)}${checkedBackupId(backupId)}${MANIFEST_SUFFIX}`;
}

export function logicalArchivesPrefix(databaseId: string): string {
  return `${databasePrefix(databaseId)}logical/archives/`;
}

/** The archives of all attempts at one backup. */
export function logicalAttemptsPrefix(databaseId: string, backupId: string): string {
  return `${logicalArchivesPrefix(databaseId)}${checkedBackupId(backupId)}-`;
}

/** @param attempt 8 hex digits, drawn anew for each attempt. */
export function logicalArchiveKey(databaseId: string, backupId: string, attempt: string): string {
  assert(ATTEMPT.test(attempt), `"${attempt}" names an attempt`);
  return `${logicalAttemptsPrefix(databaseId, backupId)}${attempt}${ARCHIVE_SUFFIX}`;
}

/** The backup of a manifest's or archive's key, undefined for any other name. */
export function backupIdOfKey(key: string): string | undefined {
  const name = key.slice(key.lastIndexOf("/") + 1);
  const id = name.slice(0, 24);
  const rest = name.slice(24);
  const isOurs = rest === MANIFEST_SUFFIX || (rest.startsWith("-") && rest.endsWith(ARCHIVE_SUFFIX));
  return isOurs && BACKUP_ID.test(id) ? id : undefined;
}

function checkedDatabaseId(databaseId: string): string {
  assert(DATABASE_ID.test(databaseId), `"${databaseId}" is an id of a database`);
  return databaseId;
}

function checkedBackupId(backupId: string): string {
  assert(BACKUP_ID.test(backupId), `"${backupId}" is an id of a backup`);
  return backupId;
}
