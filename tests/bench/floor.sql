-- floor.sql - the same people and past as store.sql in the least schema that could work:
-- one tenant, bigint keys, an address per contact, a narrow timeline in one covering
-- index; and a table to write to with the fat rows, its key and its index.
\set ON_ERROR_STOP on
set synchronous_commit = off;
set work_mem = '512MB';
set maintenance_work_mem = '1GB';

create table contact (
	id bigint primary key,
	name text not null,
	company text,
	vip boolean not null,
	attributes jsonb not null
);
create table address (value text primary key, contact_id bigint not null);
create table entry (
	id bigint generated always as identity primary key,
	contact_id bigint not null,
	channel smallint not null,
	direction smallint not null,
	at timestamptz not null,
	payload jsonb not null
);
create table timeline (
	id bigint not null,
	contact_id bigint not null,
	at timestamptz not null,
	channel smallint not null,
	direction smallint not null,
	subject text,
	agent text
);

insert into contact
select g, 'Contact Number ' || g, 'Company ' || g % 5000, g % 500 = 0,
	jsonb_build_object('lang', 'zh-CN', 'tier', g % 3)
from generate_series(1, :contacts) g;
insert into address
select '+86138' || lpad(g::text, 8, '0'), g from generate_series(1, :contacts) g;
insert into entry (contact_id, channel, direction, at, payload)
select 1 + floor(random() * :contacts)::bigint, 1 + g % 4, g % 2,
	now() - interval '400 days' + g * (interval '399 days' / :interactions),
	jsonb_build_object('uid', md5(g::text), 'subject', 'about order ' || g % 99991
		|| ', answered by ' || 1000 + g % 200 || ', waited 0:05, talked 2:55',
		'agent', (1000 + g % 200)::text, 'queue', 'support-' || g % 12, 'wait', 5000,
		'talk', 175000, 'text', repeat(md5((g * 3)::text) || ' ', 7))
from generate_series(1, :interactions) g;
create index entry_contact on entry (contact_id, at desc, id desc);
insert into timeline
select id, contact_id, at, channel, direction, payload->>'subject', payload->>'agent'
from entry order by contact_id, at desc, id desc;
create index timeline_page on timeline (contact_id, at desc, id desc)
	include (channel, direction, subject, agent);
vacuum (analyze);
