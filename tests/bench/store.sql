-- store.sql - what the bench runs on: :contacts people with a phone number each, and
-- :interactions entries of their past 400 days, in interactd's own schema (a daemon has
-- migrated this database). Sorted into every index, so that it takes minutes, not hours.
--
-- Contact g has the number +86138 and g as eight digits. Interactions have no legs:
-- nothing that is measured reads those of the past.
\set ON_ERROR_STOP on
set synchronous_commit = off;
set work_mem = '512MB';
set maintenance_work_mem = '1GB';
set session_replication_role = replica; -- foreign keys are right as they are made

create or replace function pg_temp.make_uuid(ms bigint, seed text) returns uuid
language sql immutable as $$
	select (lpad(to_hex(ms), 12, '0') || '7' || left(seed, 3) || '8'
		|| substr(seed, 4, 15))::uuid $$;
create or replace function pg_temp.contact_of(g bigint) returns uuid
language sql immutable as $$
	select pg_temp.make_uuid(1700000000000 + g * 1000, md5('c' || g)) $$;

select ensure_partitions(now() - interval '401 days', now() + interval '2 months');

select indexdef as search_index from pg_indexes where indexname = 'contact_search' \gset
drop index contact_search;
insert into contact (tenant_id, id, name, roles, language, vip, attributes)
select 1, pg_temp.contact_of(g), 'Contact Number ' || g, array['customer'],
	(array['zh-CN', 'en', 'de', 'fr'])[1 + g % 4], g % 500 = 0,
	jsonb_build_object('company', 'Company ' || g % 5000, 'tier', g % 3)
from generate_series(1, :contacts) g;
:search_index;
insert into address (tenant_id, kind, value)
select 1, 'phone', '+86138' || lpad(g::text, 8, '0') from generate_series(1, :contacts) g;
insert into identity (tenant_id, kind, value, contact_id, trust, source, first_seen,
	last_seen)
select 1, 'phone', '+86138' || lpad(g::text, 8, '0'), pg_temp.contact_of(g), 2, 'pbx',
	now() - interval '400 days', now() - interval '1 day'
from generate_series(1, :contacts) g;

create temporary table past as
select g, ms, 1 + floor(random() * :contacts)::bigint as who,
	(array['call', 'email', 'sms', 'chat'])[1 + g % 4] as kind
from (select g, (extract(epoch from now() - interval '400 days') * 1000
		+ g * (399 * 86400000.0 / :interactions))::bigint as ms
	from generate_series(1, :interactions) g) x;
insert into interaction (tenant_id, id, kind, direction, channel, external_id, state,
	contact_id, agent, queue, remote_kind, remote_value, trust, local, at, answered_at,
	ended_at, summary, variables, disposition, wait_ms, talk_ms, hold_ms)
select 1, pg_temp.make_uuid(ms, md5(g::text)), kind,
	case when g % 2 = 0 then 'in' else 'out' end, 'past', 'past.' || g, 'ended',
	pg_temp.contact_of(who), (1000 + g % 200)::text, 'support-' || g % 12, 'phone',
	'+86138' || lpad(who::text, 8, '0'), 2, '4008001234', at, at + interval '5 seconds',
	at + interval '3 minutes', 'about order ' || g % 99991 || ', answered by '
	|| 1000 + g % 200 || ', waited 0:05, talked 2:55',
	jsonb_build_object('CUSTOMER_ID', g % 99991, 'LANG', 'zh', 'menu', '3'), 'answered',
	5000, 175000, 0
from (select p.*, to_timestamp(ms / 1000.0) as at from past p) p order by g;
insert into timeline (tenant_id, contact_id, id, kind, channel, direction, agent, state,
	disposition, summary)
select tenant_id, contact_id, id, kind, channel, direction, agent, state, disposition,
	summary
from interaction order by contact_id, id;
insert into external_id (tenant_id, channel, external_id, interaction_id)
select tenant_id, channel, external_id, id from interaction where kind <> 'call' order by external_id;
reset session_replication_role;
vacuum (analyze);
