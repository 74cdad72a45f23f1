import type { PointInTimeRequest } from "./point-in-time-service.ts";

/** What an operation was begun with, for people. */
export function describeRequest(request: PointInTimeRequest): string {
  if (request.kind === "undo") return "the data before the last restore";
  const branch = request.branch === null ? "" : `, on branch ${request.branch}`;
  return `${request.isExclusive ? "just before " : ""}${request.target}${branch}`;
}
