import type { Lsn } from "../core/lsn.ts";
import { PAGE_BYTES, firstPageOf, isPageRight } from "../postgres/page-checksum.ts";

const WORDS_PER_PAGE = PAGE_BYTES / 4;

/** Told of a page whose checksum is wrong; the number is counted over all files of the relation. */
export type OnSuspectPage = (path: string, page: number) => void;

/** Checks the page checksums of files that pass by in pieces. Holds one page. */
export class PageChecker {
  readonly #backupStart: Lsn;
  readonly #onSuspect: OnSuspectPage;
  readonly #scratch = new Int32Array(WORDS_PER_PAGE);
  readonly #scratchBytes = new Uint8Array(this.#scratch.buffer);
  #scratchLength = 0;
  #path = "";
  #nextPage: number | undefined;

  /** @param backupStart pages changed since then are rewritten by replay, and not looked at */
  constructor(backupStart: Lsn, onSuspect: OnSuspectPage) {
    this.#backupStart = backupStart;
    this.#onSuspect = onSuspect;
  }

  /** @param path of the file that begins, in the data folder or a tablespace */
  begin(path: string): void {
    this.#path = path;
    this.#nextPage = firstPageOf(path);
    this.#scratchLength = 0;
  }

  add(bytes: Uint8Array): void {
    if (this.#nextPage === undefined) return;
    let at = 0;
    while (at < bytes.length) {
      const isWholePage = this.#scratchLength === 0 && bytes.length - at >= PAGE_BYTES;
      if (isWholePage && (bytes.byteOffset + at) % 4 === 0) {
        this.#check(new Int32Array(bytes.buffer, bytes.byteOffset + at, WORDS_PER_PAGE));
        at += PAGE_BYTES;
      } else {
        const length = Math.min(PAGE_BYTES - this.#scratchLength, bytes.length - at);
        this.#scratchBytes.set(bytes.subarray(at, at + length), this.#scratchLength);
        this.#scratchLength += length;
        at += length;
        if (this.#scratchLength === PAGE_BYTES) this.#check(this.#scratch);
      }
    }
  }

  #check(words: Int32Array): void {
    this.#scratchLength = 0;
    const page = this.#nextPage;
    if (page === undefined) return;
    this.#nextPage = page + 1;
    if (!isPageRight(words, page, this.#backupStart)) this.#onSuspect(this.#path, page);
  }
}
