import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { ApiError } from "../api/api-error.ts";
import { Failure } from "./notice.tsx";

/** What `children` makes of a reply; before it is there a quiet line, and its error in its place. An older reply stays while a newer one fails. */
export function Loaded<Data>(props: { from: UseQueryResult<Data, ApiError>; children: (data: Data) => ReactNode }) {
  const { data, error } = props.from;
  if (data !== undefined)
    return (
      <>
        {error !== null && <Failure error={error} />}
        {props.children(data)}
      </>
    );
  if (error !== null) return <Failure error={error} />;
  return (
    <p className="muted" role="status">
      Loading…
    </p>
  );
}
