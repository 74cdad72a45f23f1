/**
 * A small shop: 1,000 customers, 3,000 orders, 6,000 order lines. Values follow from the row's number, so every sample is the same. One
 * transaction: it is there as a whole or not at all.
 */
export const SAMPLE_SQL = `
begin;
create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  email text not null unique,
  city text not null,
  created_at timestamptz not null
);
create table orders (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  status text not null check (status in ('open', 'paid', 'shipped', 'returned')),
  placed_at timestamptz not null
);
create table order_lines (
  id bigint generated always as identity primary key,
  order_id bigint not null references orders on delete cascade,
  product text not null,
  quantity integer not null check (quantity > 0),
  price numeric(10, 2) not null
);
create index on orders (customer_id);
create index on order_lines (order_id);
insert into customers (name, email, city, created_at)
select
  (array['Ada', 'Blaise', 'Chandra', 'Dorothy', 'Edsger', 'Frances', 'Grace', 'Hedy'])[1 + n % 8]
    || ' ' || (array['Berg', 'Costa', 'Dubois', 'Eriksen', 'Fischer', 'Garcia', 'Haddad'])[1 + n % 7],
  'customer' || n || '@example.com',
  (array['Strasbourg', 'Osaka', 'Lima', 'Nairobi', 'Tromso'])[1 + n % 5],
  timestamptz '2025-01-01 00:00:00+00' + n * interval '7 hours'
from generate_series(1, 1000) as n;
insert into orders (customer_id, status, placed_at)
select
  1 + (n * 37) % 1000,
  (array['open', 'paid', 'shipped', 'shipped', 'returned'])[1 + n % 5],
  timestamptz '2025-06-01 00:00:00+00' + n * interval '2 hours'
from generate_series(1, 3000) as n;
insert into order_lines (order_id, product, quantity, price)
select
  1 + (n * 13) % 3000,
  (array['tide table', 'sextant', 'barometer', 'brass lamp', 'sea chart', 'oilskin'])[1 + n % 6],
  1 + n % 4,
  ((n * 53) % 20000) / 100.0 + 1
from generate_series(1, 6000) as n;
commit;
`;

/** The table that tells whether the sample is there. */
export const SAMPLE_TABLE = "order_lines";
