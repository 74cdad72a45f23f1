import { Link } from "@tanstack/react-router";
import type { PageMeta } from "../../generated/api.ts";

/** Links to the pages around this one; nothing when there is one page. */
export function Pages({ meta: { pagination } }: { meta: PageMeta }) {
  const { current_page: page, total_pages: total, prev_page: previous, next_page: next } = pagination;
  if (total <= 1) return null;
  return (
    <nav className="pages" aria-label="Pages">
      {previous === null ? <span /> : <PageLink page={previous} text="Newer" />}
      <span className="muted">
        Page {page} of {total}
      </span>
      {next === null ? <span /> : <PageLink page={next} text="Older" />}
    </nav>
  );
}

function PageLink({ page, text }: { page: number; text: string }) {
  return (
    <Link from="/" to="." search={(search) => ({ ...search, page })} className="button compact">
      {text}
    </Link>
  );
}
