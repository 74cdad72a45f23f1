import type { Change, ChangeBatch, ChangeFollower, ChangeService } from "../../src/control/change-service.ts";
import { type Clock, systemClock } from "../../src/core/clock.ts";
import { TidemarkError } from "../../src/core/errors.ts";

const FOLLOWERS_MAX = 2;

/** Changes that a test tells, to two followers at most. */
export class InMemoryChanges implements ChangeService {
  readonly #clock: Clock;
  readonly #followers = new Set<{ add(change: Change | "all"): void; end(): void }>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  get followers(): number {
    return this.#followers.size;
  }

  tell(change: Change | "all"): void {
    for (const follower of this.#followers) follower.add(change);
  }

  /** As when the control database is lost. */
  breakOff(): void {
    for (const follower of this.#followers) follower.end();
  }

  follow(): ChangeFollower {
    if (this.#followers.size >= FOLLOWERS_MAX) throw new TidemarkError("too_many_requests", "Two follow already");
    const clock = this.#clock;
    let isEnded = false;
    let waiting: (Change | "all")[] = [];
    let wake = Promise.withResolvers<void>();
    const follower = {
      add(change: Change | "all") {
        waiting.push(change);
        wake.resolve();
      },
      end() {
        isEnded = true;
        wake.resolve();
      },
    };
    this.#followers.add(follower);
    return {
      async wait({ timeoutMs, signal }) {
        await Promise.race([wake.promise, clock.sleep(timeoutMs, signal).catch(() => undefined)]);
        if (isEnded) throw new TidemarkError("control_unavailable", "The control database is away");
      },
      async take(): Promise<ChangeBatch> {
        const taken = waiting.filter((each) => each !== "all");
        const isAll = taken.length < waiting.length;
        waiting = [];
        wake = Promise.withResolvers();
        return isAll ? "all" : taken;
      },
      close: () => void this.#followers.delete(follower),
    };
  }
}
