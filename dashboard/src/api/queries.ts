import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { asApiError, type ApiError } from "./api-error.ts";
import { call, type Input, type OperationId, type Reply } from "./call.ts";

/** How `useQuery` fetches and keeps an operation's reply. */
export function query<Id extends OperationId>(id: Id, input: Input<Id>) {
  return queryOptions<Reply<Id>, ApiError>({
    queryKey: [id, input],
    queryFn: ({ signal }) => call(id, input, { signal }),
  });
}

/** A call that changes something. What is on the screen is fetched again afterwards, whether it succeeded or not. */
export function useCall<Id extends OperationId>(id: Id, options: { onSuccess?: (reply: Reply<Id>) => void } = {}) {
  const client = useQueryClient();
  return useMutation<Reply<Id>, ApiError, Input<Id>>({
    mutationFn: async (input) => {
      try {
        const { session } = await client.ensureQueryData(query("showSession", {}));
        return await call(id, input, { csrfToken: session.csrf_token });
      } catch (thrown) {
        throw asApiError(thrown);
      }
    },
    onSettled: () => client.invalidateQueries(),
    ...(options.onSuccess === undefined ? {} : { onSuccess: options.onSuccess }),
  });
}
