/** The page that an address asks for; its first one when it asks for none. */
export function pageSearch(search: Record<string, unknown>): { page?: number } {
  const page = Number(search["page"]);
  return Number.isInteger(page) && page > 1 ? { page } : {};
}
