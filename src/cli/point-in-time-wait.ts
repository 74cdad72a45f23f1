import { isErrorCode, TidemarkError } from "../core/errors.ts";
import { askPatiently } from "./backup-wait.ts";
import type { CommandCall } from "./command.ts";
import type { DatabaseTarget } from "./database-target.ts";
import { operationReply, type PointInTimeOperation } from "./point-in-time-replies.ts";
import { describePhase } from "./point-in-time-text.ts";
import { type Reply, route } from "./transport.ts";

/** A restore of a small database takes seconds, so each second would be coarse. */
const POLL_INTERVAL_MS = 500;

/**
 * Asks for an operation's state until it has ended, showing how far it is, and returns the last answer. A platform that can't be reached for a moment, while it
 * restarts say, is asked again.
 *
 * @throws `restore_failed` when it ended with an error
 */
export async function waitForOperation(
  call: CommandCall,
  target: DatabaseTarget,
  operationId: string,
): Promise<Reply<{ operation: PointInTimeOperation }>> {
  const path = route`/api/databases/${target.addonId}/operations/${operationId}`;
  try {
    for (;;) {
      const reply = await askPatiently(call, () => target.api.get(path, operationReply));
      const { operation } = reply.value;
      if (operation.status === "done") return reply;
      if (operation.status === "error") throw failure(operation);
      call.output.transient(describePhase(operation));
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  } catch (error) {
    if (isErrorCode(error, "interrupted")) call.output.status(`Operation ${operationId} goes on`);
    throw error;
  } finally {
    call.output.transient("");
  }
}

function failure({ id, error }: PointInTimeOperation): TidemarkError {
  const reason = error === null ? "" : `: ${error.message}`;
  const hint = error?.hint ?? null;
  return new TidemarkError("restore_failed", `Operation ${id} failed${reason}`, {
    ...(hint === null ? {} : { hint }),
    ...(error === null ? {} : { details: { operation_error: error.code } }),
  });
}
