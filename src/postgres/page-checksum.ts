import type { Lsn } from "../core/lsn.ts";

export const PAGE_BYTES = 8192;
/** Pages in a relation's file of 1 GiB; the next file goes on counting. */
const PAGES_PER_FILE = 131_072;
/** src/include/storage/checksum_impl.h: 32 FNV-1a hashes side by side, each over every 32nd word. */
const LANES = 32;
const WORDS_PER_PAGE = PAGE_BYTES / 4;
const FNV_PRIME = 16_777_619;
const LANE_SEEDS = Int32Array.of(
  0x5b1f36e9,
  0xb8525960,
  0x02ab50aa,
  0x1de66d2a,
  0x79ff467a,
  0x9bb9f8a3,
  0x217e7cd2,
  0x83e13d2c,
  0xf8d4474f,
  0xe39eb970,
  0x42c6ae16,
  0x993216fa,
  0x7b093b5d,
  0x98daff3c,
  0xf718902a,
  0x0b1c9cdb,
  0xe58f764b,
  0x187636bc,
  0x5d7b3bb1,
  0xe73de7de,
  0x92bec979,
  0xcca6c0b2,
  0x304a0979,
  0x85aa43d4,
  0x783125bb,
  0x6ca8eaa2,
  0xe407eac6,
  0x4b5cfc3e,
  0x9fbf8c76,
  0x15ca20be,
  0xf2ca9fd3,
  0x959bd756,
);
const RELATION_FILE = /^(\d+)(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/;
const RELATION_FOLDER = /^(?:global|base\/\d+|PG_\d+_\d+\/\d+|pg_tblspc\/\d+\/PG_\d+_\d+\/\d+)$/;

/**
 * Number of the first page of a file that has page checksums.
 *
 * @param path in the data folder, or in a tablespace's folder
 * @returns undefined for every other file (pg_control, SLRUs, maps, configuration)
 */
export function firstPageOf(path: string): number | undefined {
  const slash = path.lastIndexOf("/");
  if (slash === -1 || !RELATION_FOLDER.test(path.slice(0, slash).replace(/^\.\//, ""))) return undefined;
  const match = RELATION_FILE.exec(path.slice(slash + 1));
  return match === null ? undefined : Number(match[2] ?? 0) * PAGES_PER_FILE;
}

/**
 * Whether a page is as its checksum says. New pages (never written) and pages changed since the backup began count as right: replay rewrites
 * the latter from the log.
 *
 * @param words the page, as little-endian words
 * @param pageNumber in the relation, counted over all its files
 * @param backupStart pages with this position or a later one are passed over
 */
export function isPageRight(words: Int32Array, pageNumber: number, backupStart: Lsn): boolean {
  const upper = (words[3] ?? 0) >>> 16;
  if (upper === 0) return true;
  const expected = (words[2] ?? 0) & 0xffff;
  if (pageChecksum(words, pageNumber) === expected) return true;
  return pageLsn(words) >= backupStart;
}

/** The page's checksum, 1 to 65,535. */
export function pageChecksum(words: Int32Array, pageNumber: number): number {
  let result = 0;
  for (let lane = 0; lane < LANES; lane += 4) result ^= fourLanes(words, lane);
  return (((result ^ pageNumber) >>> 0) % 65_535) + 1;
}

/** Four lanes at a time: each step depends on the one before, and four chains keep the processor busy. */
function fourLanes(words: Int32Array, lane: number): number {
  let a = LANE_SEEDS[lane] ?? 0;
  let b = LANE_SEEDS[lane + 1] ?? 0;
  let c = LANE_SEEDS[lane + 2] ?? 0;
  let d = LANE_SEEDS[lane + 3] ?? 0;
  for (let at = lane; at < WORDS_PER_PAGE; at += LANES) {
    a ^= words[at] ?? 0;
    b ^= words[at + 1] ?? 0;
    // The checksum's own field counts as zero.
    c ^= at === 0 ? (words[2] ?? 0) & 0xffff0000 : (words[at + 2] ?? 0);
    d ^= words[at + 3] ?? 0;
    a = Math.imul(a, FNV_PRIME) ^ (a >>> 17);
    b = Math.imul(b, FNV_PRIME) ^ (b >>> 17);
    c = Math.imul(c, FNV_PRIME) ^ (c >>> 17);
    d = Math.imul(d, FNV_PRIME) ^ (d >>> 17);
  }
  return finish(a) ^ finish(b) ^ finish(c) ^ finish(d);
}

/** Two rounds of zeros mix the last word's bits. */
function finish(lane: number): number {
  const once = Math.imul(lane, FNV_PRIME) ^ (lane >>> 17);
  return Math.imul(once, FNV_PRIME) ^ (once >>> 17);
}

function pageLsn(words: Int32Array): bigint {
  return (BigInt((words[0] ?? 0) >>> 0) << 32n) | BigInt((words[1] ?? 0) >>> 0);
}
