import { z } from "@hono/zod-openapi";
import type { Page, PageRequest } from "../control/event-service.ts";

/** What clients of the API ask for by default. */
const PER_PAGE_DEFAULT = 30;
/** One answer stays small. */
const PER_PAGE_MAX = 100;
/** Deeper than anybody leafs; keeps the offset in SQL's range. */
const PAGE_MAX = 100_000;

/** The query of a list that comes in pages. */
export const pageQuery = z.object({
  page: z.coerce.number().int().min(1).max(PAGE_MAX).default(1),
  per_page: z.coerce.number().int().min(1).max(PER_PAGE_MAX).default(PER_PAGE_DEFAULT),
});

/** The `meta` of an answer that is one page. */
export const PageMeta = z
  .object({
    pagination: z.object({
      current_page: z.int(),
      prev_page: z.int().nullable(),
      next_page: z.int().nullable(),
      total_pages: z.int(),
      total_count: z.int(),
      per_page: z.int(),
    }),
  })
  .openapi("PageMeta");

export function pageRequest({ page, per_page: perPage }: z.infer<typeof pageQuery>): PageRequest {
  return { page, perPage };
}

/** An empty list has one page, which is empty. */
export function viewPageMeta({ page, perPage, totalCount }: Page<unknown>): z.infer<typeof PageMeta> {
  const totalPages = Math.max(1, Math.ceil(totalCount / perPage));
  return {
    pagination: {
      current_page: page,
      prev_page: page > 1 ? page - 1 : null,
      next_page: page < totalPages ? page + 1 : null,
      total_pages: totalPages,
      total_count: totalCount,
      per_page: perPage,
    },
  };
}
