import { useEffect, type ReactNode } from "react";

/** A page's title, also in the browser's tab. `crumbs` lead back up, nearest last. */
export function PageHead(props: {
  title: string;
  crumbs?: readonly ReactNode[];
  beside?: ReactNode;
  actions?: ReactNode;
}) {
  const { title, crumbs = [] } = props;
  useEffect(() => {
    document.title = `${title} · Tidemark`;
  }, [title]);
  return (
    <div className="page-head">
      <div>
        {crumbs.length > 0 && (
          <nav aria-label="Where you are">
            <ol className="crumbs">
              {crumbs.map((crumb, index) => (
                // The trail's order never changes.
                <li key={index}>{crumb}</li>
              ))}
            </ol>
          </nav>
        )}
        <div className="page-title">
          <h1>{title}</h1>
          {props.beside}
        </div>
      </div>
      {props.actions !== undefined && <div className="row">{props.actions}</div>}
    </div>
  );
}
