/** Before each further attempt: soon at first, since most failures are short, and for about half a day in all. */
const RETRY_DELAYS_MS: readonly number[] = [5_000, 30_000, 120_000, 600_000, 3_600_000, 14_400_000, 28_800_000];

/** How long to wait after so many attempts that failed; undefined when there is to be no further one. */
export function retryDelayMs(failedAttempts: number): number | undefined {
  return RETRY_DELAYS_MS[failedAttempts - 1];
}
