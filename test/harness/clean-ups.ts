import type { CleanUp } from "./temp-folder.ts";

/** Clean-ups that a suite's `before` collects and its `after` runs, the last one first. */
export interface CleanUps extends CleanUp {
  /** Runs all, also after one of them failed, and throws the first failure. May be called twice. */
  run(): Promise<void>;
}

/** For what a whole suite shares: `before(async () => { thing = await makeThing(cleanUps); }); after(() => cleanUps.run());`. */
export function collectCleanUps(): CleanUps {
  const pending: (() => Promise<void>)[] = [];
  return {
    after: (clean) => {
      pending.push(clean);
    },
    async run() {
      const failures: unknown[] = [];
      for (let clean = pending.pop(); clean !== undefined; clean = pending.pop())
        await clean().catch((error: unknown) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    },
  };
}
