import type { ErrorComponentProps } from "@tanstack/react-router";
import { asApiError } from "../api/api-error.ts";
import { Failure } from "../ui/notice.tsx";

/** Instead of a page that can't be shown. */
export function CrashPage({ error, reset }: ErrorComponentProps) {
  return (
    <div className="page stack">
      <Failure error={asApiError(error)} />
      <div>
        <button type="button" className="button" onClick={reset}>
          Try again
        </button>
      </div>
    </div>
  );
}
