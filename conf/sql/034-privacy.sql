-- personal data: where it is, how it is erased, how long it is kept, who may read it

-- ---- Where it is ------------------------------------------------------------------------

-- Every place of this database where something of a person may be, and every table where
-- nothing is, with the reason; the report and the erasure both go by these rows, so that
-- neither can know a place that the other forgets. A migration that makes a table adds a
-- row (a test insists).
--
-- mine: a condition over the table as t; null: nothing of a person is there, `kept` says
-- why. Parameters of it and of `what`: $1 tenant, $2 uuid[] the contact and all its
-- members, $3 uuid[] their interactions, $4 and $5 text[] kinds and values of the addresses
-- that nobody else has. how: 'delete', 'set' (what: the SET list of an update), 'call'
-- (what: an expression that does it and gives the count), 'wishes' (wishes_erase does it,
-- before all others) or 'keep'. Erased by position.
create table privacy_place (
	name text primary key,
	relation text not null,
	position integer not null default 0,
	mine text,
	at text,
	how text not null default 'keep'
		check (how in ('delete', 'set', 'call', 'wishes', 'keep')),
	what text,
	kept text not null,
	check (how = 'keep' or mine is not null),
	check ((what is not null) = (how in ('set', 'call')))
);

-- One row per id that was erased. pending: the addresses, until what is outside of this
-- database (Redis, the spools) is clean too.
create table erasure (
	tenant_id integer not null references tenant,
	contact_id uuid not null,
	root uuid not null,
	at timestamptz not null default now(),
	actor text not null,
	counts jsonb not null default '[]',
	do_not_contact boolean not null default false,
	pending jsonb,
	primary key (tenant_id, contact_id)
);
create index erasure_pending on erasure (tenant_id, contact_id) where pending is not null;

-- Whether a text holds one of these ids or values. Values too short to mean anybody are
-- not looked for.
create function privacy_mentions(p_text text, p_ids uuid[], p_values text[]) returns boolean
language sql immutable parallel safe as $$
	select exists (select from unnest(p_ids) id where strpos(p_text, id::text) > 0)
		or exists (select from unnest(p_values) v
			where char_length(v) >= 5 and strpos(p_text, v) > 0)
$$;

-- Deliveries that name the person are taken out, also of the queues that wait for them.
create function privacy_erase_deliveries(p_tenant integer, p_ids uuid[],
	p_interactions uuid[], p_values text[]) returns bigint language plpgsql as $$
declare
	v_seq bigint[];
	v_gone bigint := 0;
	v record;
begin
	v_seq := array(select t.seq from webhook_delivery t where t.tenant_id = p_tenant
		and (t.order_key = any ((p_ids || p_interactions)::text[])
			or privacy_mentions(t.body, p_ids, p_values)));
	perform 1 from webhook_queue q where q.tenant_id = p_tenant
		and (q.webhook_id, q.order_key) in (select d.webhook_id, d.order_key
			from webhook_delivery d
			where d.tenant_id = p_tenant and d.seq = any (v_seq))
	order by q.webhook_id, q.order_key for update;
	for v in
		with gone as (
			delete from webhook_delivery d
			where d.tenant_id = p_tenant and d.seq = any (v_seq)
			returning d.webhook_id, d.order_key, d.state)
		select webhook_id, count(*) as n,
			array_agg(order_key) filter (where state = 'waiting') as keys
		from gone group by webhook_id order by webhook_id
	loop
		perform webhook_uncount(p_tenant, v.webhook_id, v.keys);
		v_gone := v_gone + v.n;
	end loop;
	return v_gone;
end $$;

-- Interactions that have no contact because several share their address.
create index interaction_nobodys on interaction (tenant_id, remote_value)
	where contact_id is null and remote_value is not null;
create index if not exists contact_organisation on contact (tenant_id, organisation)
	where organisation is not null;

insert into privacy_place (name, relation, position, mine, at, how, what, kept) values
('webhook deliveries', 'webhook_delivery', 10,
	't.tenant_id = $1 and (t.order_key = any (($2 || $3)::text[])
		or privacy_mentions(t.body, $2, $5))', 't.queued_at', 'call',
	'privacy_erase_deliveries($1, $2, $3, $5)',
	'[webhooks] retention_s once delivered, dead_retention_s if it never was'),
('idempotency answers', 'idempotency', 10,
	't.tenant_id = $1 and privacy_mentions(t.response, $2, $5)', 't.created_at',
	'delete', null, '24 hours'),
('quarantine', 'quarantine', 10,
	't.tenant_id = $1 and (t.interaction_id = any ($3)
		or privacy_mentions(t.payload, $2, $5))', 't.at', 'delete', null,
	'until it is stored or the contact erased'),
('external ids', 'external_id', 20,
	't.tenant_id = $1 and (t.channel, t.external_id) in (select i.channel, i.external_id
		from interaction i where i.tenant_id = $1 and i.id = any ($3)
			and i.external_id is not null)', null, 'delete', null,
	'as long as the interaction'),
('timeline', 'timeline', 20,
	't.tenant_id = $1 and t.contact_id = any ($2)', 'uuid_time(t.id)', 'delete', null,
	'as long as the interaction'),
-- agents' phones are no secret of the customer's
('legs', 'interaction_leg', 30,
	't.tenant_id = $1 and t.interaction_id = any ($3) and t.agent is null
		and t.interface is not null', 't.at', 'set', 'interface = null',
	'as long as the interaction'),
-- Who with and what about goes; when, how long, which queue and agent stay.
('interactions', 'interaction', 40,
	't.tenant_id = $1 and t.id = any ($3)', 't.at', 'set',
	'contact_id = null, conversation_id = null, external_id = null, remote_value = null,
		remote_display = null, summary = null, variables = ''{}'',
		details = nullif(jsonb_strip_nulls(jsonb_build_object(
			''source'', t.details->''source'')), ''{}'')',
	'[tenant] retention_*_days of its kind; for ever if that is 0'),
('merges', 'contact_merge', 50,
	't.tenant_id = $1 and (t.survivor = any ($2) or t.absorbed = any ($2))', 't.at',
	'delete', null, 'until the contact is erased'),
('identities', 'identity', 60,
	't.tenant_id = $1 and t.contact_id = any ($2)', 't.last_seen', 'delete', null,
	'until it is removed from the contact, or the contact erased'),
('addresses', 'address', 70,
	't.tenant_id = $1 and (t.kind, t.value) in (select a.kind, a.value
		from unnest($4, $5) a(kind, value))', null, 'delete', null,
	'until the contact is erased'),
('links of its people', 'contact', 80,
	't.tenant_id = $1 and t.organisation = any ($2) and t.id <> all ($2)', 't.updated_at',
	'set', 'organisation = null', 'until the contact is erased'),
('contact', 'contact', 90,
	't.tenant_id = $1 and t.id = any ($2)', 't.created_at', 'delete', null,
	'until the contact is erased'),
('audit', 'audit', 0,
	't.tenant_id = $1 and t.object_kind = ''contact'' and t.object_id = any ($2::text[])',
	't.at', 'keep', null, 'for good: who did what, ids and names of fields only'),
('erasures', 'erasure', 0,
	't.tenant_id = $1 and t.contact_id = any ($2)', 't.at', 'keep', null,
	'for good: the id and counts; addresses only until Redis is clean too, at most'
	' until it can be reached');
insert into privacy_place (name, relation, position, mine, at, how, what, kept) values
('merge suggestions', 'merge_suggestion', 50,
	't.tenant_id = $1 and (t.a = any ($2) or t.b = any ($2))', 't.made_at', 'delete',
	null, 'until the contact is erased'),
-- of two others, one of whom had an address of theirs then
('evidence of merges', 'contact_merge', 55,
	't.tenant_id = $1 and t.survivor <> all ($2) and t.absorbed <> all ($2)
		and privacy_mentions(t.evidence::text, $2, $5)', 't.at', 'set',
	'evidence = ''{"erased": true}''', 'until one of them is erased'),
('evidence of suggestions', 'merge_suggestion', 55,
	't.tenant_id = $1 and t.a <> all ($2) and t.b <> all ($2)
		and privacy_mentions(t.evidence::text, $2, $5)', 't.made_at', 'set',
	'evidence = ''[]''', 'until one of them is erased'),
('wishes', 'wish', 0, 't.tenant_id = $1 and (t.contact_id = any ($2)
	or (t.address_value <> '''' and (t.address_kind, t.address_value) in (
		select a.kind, a.value from unnest($4, $5) a(kind, value))))', null, 'wishes', null,
	'until the contact is erased'),
('preferences', 'preference', 0, 't.tenant_id = $1 and t.contact_id = any ($2)',
	't.updated_at', 'wishes', null, 'until the contact is erased'),
('consent evidence', 'consent_detail', 0,
	't.tenant_id = $1 and t.seq in (select consent_entries($1, $2, $4, $5))',
	'(select c.at from consent c where c.tenant_id = t.tenant_id and c.seq = t.seq)',
	'wishes', null, 'until the contact is erased; the sealed ledger keeps hashes'),
('consents to be confirmed', 'consent_pending', 0,
	't.tenant_id = $1 and t.contact_id = any ($2)', null, 'wishes', null,
	'until they are confirmed or expire'),
('suppressed addresses', 'suppression', 0,
	't.tenant_id = $1 and (t.kind, t.value) in (select a.kind, a.value
		from unnest($4, $5) a(kind, value))', 't.at', 'wishes', null,
	'until the contact is erased: then a hash remains'),
('do-not-call lists', 'suppression_listed', 0,
	't.tenant_id = $1 and (t.list_id, t.generation) in (select l.id, l.generation
		from suppression_list l where l.tenant_id = $1)
		and (t.kind, t.value) in (select a.kind, a.value
		from unnest($4, $5) a(kind, value))', null, 'keep', null,
	'as long as the list, which says whom not to call'),
('segments', 'segment', 0, 't.tenant_id = $1 and privacy_mentions(t.filter::text, $2, $5)',
	't.updated_at', 'keep', null, 'until somebody changes the filter, which is ours'),
('rejected lines', 'import_rejected', 50,
	't.tenant_id = $1 and privacy_mentions(t.reason, $2, $5)',
	'(select r.updated_at from import_run r where r.tenant_id = t.tenant_id
		and r.id = t.import_id)', 'set', 'reason = ''it told of somebody who was erased''',
	'30 days'),
('imports', 'import_run', 50,
	't.tenant_id = $1 and privacy_mentions(t.detail, $2, $5)', 't.updated_at', 'set',
	'detail = ''it told of somebody who was erased''', '30 days');
insert into privacy_place (name, relation, kept) values
('absorbed', 'absorbed', 'ids of interactions only'),
('agent', 'agent', 'our own staff'),
('agent_state', 'agent_state', 'our own staff'),
('agent_token', 'agent_token', 'our own staff'),
('api_key', 'api_key', 'our own systems'),
('channel_heard', 'channel_heard', 'times only'),
('consent', 'consent', 'salted hashes only'),
('consent_seal', 'consent_seal', 'hashes only'),
('consent_unsealed', 'consent_unsealed', 'numbers only'),
('gap', 'gap', 'counts and times only'),
('gap_call', 'gap_call', 'ids of interactions only'),
('lease', 'lease', 'names of daemons'),
('partition_month', 'partition_month', 'months only'),
('privacy_place', 'privacy_place', 'this list'),
('report_login', 'report_login', 'names of logins'),
('retention_mark', 'retention_mark', 'ids of interactions only'),
('schema_migration', 'schema_migration', 'names of migrations'),
('spool_checkpoint', 'spool_checkpoint', 'numbers only'),
('suppression_list', 'suppression_list', 'names of lists'),
('tenant', 'tenant', 'names of tenants'),
('tenant_secret', 'tenant_secret', 'keys of our own'),
('webhook', 'webhook', 'our own systems'),
('webhook_queue', 'webhook_queue', 'ids only');

-- Whom a contact's id means, and what is theirs.
create function privacy_subject(p_tenant integer, p_id uuid, out root uuid,
	out members uuid[], out interactions uuid[], out kinds text[], out "values" text[])
language plpgsql stable as $$
begin
	root := contact_root(p_tenant, p_id);
	if root is null then
		return;
	end if;
	members := array(select m.id from contact_members(p_tenant, root) m(id) order by 1);
	select array_agg(a.kind order by a.kind, a.value),
		array_agg(a.value order by a.kind, a.value)
	into kinds, "values"
	from (select distinct i.kind, i.value from unnest(members) m(id)
		cross join lateral (select kind, value from identity
			where contact_id = m.id and tenant_id = p_tenant offset 0) i
		where not exists (select from identity o where o.tenant_id = p_tenant
			and o.kind = i.kind and o.value = i.value
			and o.contact_id <> all (members))) a;
	kinds := coalesce(kinds, '{}');
	"values" := coalesce("values", '{}');
	interactions := array(
		select t.id from timeline t
		where t.tenant_id = p_tenant and t.contact_id = any (members)
		union
		select i.id from unnest(kinds, "values") a(kind, value)
		join interaction i on i.tenant_id = p_tenant and i.contact_id is null
			and i.remote_value = a.value and i.remote_kind = a.kind);
end $$;

-- What there is of a person in this database: [{place, table, count, oldest, newest,
-- kept}], then what is kept of them for good. Null if there is no such contact.
create function privacy_report(p_tenant integer, p_id uuid) returns json
language plpgsql stable as $$
declare
	s record;
	p record;
	v_count bigint;
	v_oldest timestamptz;
	v_newest timestamptz;
	v_places jsonb := '[]';
	v_erased erasure;
begin
	select * into s from privacy_subject(p_tenant, p_id);
	if s.root is null then
		select * into v_erased from erasure e
		where e.tenant_id = p_tenant and e.contact_id = p_id;
		if not found then
			return null;
		end if;
		s.root := v_erased.root;
		s.members := array(select e.contact_id from erasure e
			where e.tenant_id = p_tenant and e.root = v_erased.root);
		s.interactions := '{}';
		s.kinds := '{}';
		s."values" := '{}';
	end if;
	for p in select * from privacy_place where mine is not null order by position, name
	loop
		execute format('select count(*), min(%s), max(%1$s) from %I t where %s',
			coalesce(p.at, 'null::timestamptz'), p.relation, p.mine)
		into v_count, v_oldest, v_newest
		using p_tenant, s.members, s.interactions, s.kinds, s."values";
		v_places := v_places || jsonb_build_object('place', p.name, 'where',
			'table ' || p.relation, 'count', v_count, 'oldest',
			time_text(v_oldest), 'newest', time_text(v_newest), 'kept', p.kept,
			'erased', p.how <> 'keep');
	end loop;
	return json_build_object('contact', s.root, 'members', s.members,
		'erased_at', time_text(v_erased.at), 'addresses', cardinality(s.kinds),
		'interactions', cardinality(s.interactions), 'places', v_places,
		'_kinds', s.kinds, '_values', s."values");
end $$;

-- ---- How it is erased -------------------------------------------------------------------

-- An entry of whom we forgot is not saved again by a replay; one of a call that still lives
-- is, by a daemon that has forgotten who it was.
create function privacy_forget_interactions(p_tenant integer, p_interactions uuid[])
returns void language plpgsql as $$
begin
	insert into absorbed (tenant_id, id, absorbed_by)
	select p_tenant, i.id, i.id from interaction i
	where i.tenant_id = p_tenant and i.id = any (p_interactions) and i.state = 'ended'
		and i.channel is not null
	on conflict do nothing;
end $$;

-- DELETE /v1/contacts/{id}: the whole person, whichever of their ids is given. Null: there
-- is no such contact. Again: the same receipt. p_bar: keep their addresses as hashes that
-- must not be contacted, even if no wish says so. json is the receipt; members and
-- addresses (of the first time) are what the daemon needs to clean the rest.
create function contact_erase(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_bar boolean, out json text, out root uuid, out members uuid[], out kinds text[],
	out "values" text[]) language plpgsql as $$
declare
	s record;
	p record;
	v_count bigint;
	v_counts jsonb := '[]';
	v_bar boolean;
begin
	select * into s from privacy_subject(p_tenant, p_id);
	if s.root is not null then
		-- in the order in which everybody locks
		perform 1 from address a where a.tenant_id = p_tenant
			and (a.kind, a.value) in (select i.kind, i.value from identity i
				where i.tenant_id = p_tenant and i.contact_id = any (s.members))
		order by a.kind, a.value for update;
		perform 1 from contact c where c.tenant_id = p_tenant and c.id = any (s.members)
		order by c.id for update;
		select * into s from privacy_subject(p_tenant, p_id);
	end if;
	if s.root is null then
		json := erasure_json(p_tenant, p_id);
		return;
	end if;
	for p in select * from privacy_place where how = 'wishes' order by position, name loop
		execute format('select count(*) from %I t where %s', p.relation, p.mine)
		into v_count
		using p_tenant, s.members, s.interactions, s.kinds, s."values";
		v_counts := v_counts || jsonb_build_object('place', p.name, 'count', v_count);
	end loop;
	v_bar := wishes_erase(p_tenant, p_actor, p_role, s.members, s.kinds, s."values", p_bar);
	perform privacy_forget_interactions(p_tenant, s.interactions);
	for p in select * from privacy_place where how <> all ('{keep,wishes}')
	order by position, name loop
		if p.how = 'call' then
			execute 'select ' || p.what into v_count
			using p_tenant, s.members, s.interactions, s.kinds, s."values";
		else
			execute format(case p.how
				when 'delete' then 'with gone as (delete from %I t where %s '
					'returning 1) select count(*) from gone'
				else 'with gone as (update %I t set %3$s where %2$s '
					'returning 1) select count(*) from gone' end,
				p.relation, p.mine, p.what)
			into v_count
			using p_tenant, s.members, s.interactions, s.kinds, s."values";
		end if;
		v_counts := v_counts || jsonb_build_object('place', p.name, 'count', v_count);
	end loop;
	insert into erasure (tenant_id, contact_id, root, actor, counts, do_not_contact,
		pending)
	select p_tenant, m, s.root, p_actor, v_counts, v_bar, case when m = s.root then
		jsonb_build_object('kinds', s.kinds, 'values', s."values") end
	from unnest(s.members) m;
	perform audit_add(p_tenant, p_actor, p_role, 'contact.erased', 'contact',
		s.root::text, array(select (c->>'place') || ': ' || (c->>'count')
			from jsonb_array_elements(v_counts) c where (c->>'count')::bigint > 0));
	json := erasure_json(p_tenant, p_id);
	root := s.root;
	members := s.members;
	kinds := s.kinds;
	"values" := s."values";
end $$;

-- The receipt.
create function erasure_json(p_tenant integer, p_id uuid) returns text
language sql stable as $$
	select json_build_object('contact', e.root, 'erased_at', time_text(e.at),
		'do_not_contact', e.do_not_contact,
		'members', (select json_agg(m.contact_id order by m.contact_id)
			from erasure m where m.tenant_id = p_tenant and m.root = e.root),
		'complete', not exists (select from erasure m where m.tenant_id = p_tenant
			and m.root = e.root and m.pending is not null),
		'places', e.counts)::text
	from erasure e where e.tenant_id = p_tenant and e.contact_id = p_id
$$;

-- What was erased outside of this database: [{place, count}]; p_complete: all of it.
create function erasure_done(p_tenant integer, p_root uuid, p_counts jsonb,
	p_complete boolean) returns text language plpgsql as $$
begin
	update erasure e set counts = e.counts || p_counts,
		pending = case when not p_complete then e.pending end
	where e.tenant_id = p_tenant and e.root = p_root;
	return erasure_json(p_tenant, p_root);
end $$;

-- ---- How long it is kept ----------------------------------------------------------------

-- Up to where the entries of a kind have been looked at; begun anew each day, for entries
-- may come with old dates.
create table retention_mark (
	tenant_id integer not null references tenant,
	kind text not null,
	upto uuid not null,
	begun_at timestamptz not null default now(),
	primary key (tenant_id, kind)
);

-- Deletes what is older of the next p_look entries; again while more.
create function retention_step(p_tenant integer, p_kind text, p_before bigint,
	p_look integer, out deleted integer, out more boolean) language plpgsql as $$
declare
	v_before uuid := uuid_floor(us_to_time(p_before));
	v_from uuid;
	v_last uuid;
	v_seen integer;
	v_ids uuid[];
begin
	select case when m.begun_at > now() - interval '1 day' then m.upto end into v_from
	from retention_mark m where m.tenant_id = p_tenant and m.kind = p_kind;
	if v_from is null then
		v_from := '00000000-0000-0000-0000-000000000000';
		insert into retention_mark (tenant_id, kind, upto)
		values (p_tenant, p_kind, v_from)
		on conflict (tenant_id, kind) do update
		set upto = excluded.upto, begun_at = now();
	end if;
	select count(*), (array_agg(o.id order by o.id desc))[1],
		coalesce(array_agg(o.id) filter (where o.kind = p_kind), '{}')
	into v_seen, v_last, v_ids
	from (select i.id, i.kind from interaction i
		where i.tenant_id = p_tenant and i.id > v_from and i.id < v_before
		order by i.id limit p_look) o;
	deleted := retention_delete(p_tenant, v_ids);
	more := v_seen = p_look;
	update retention_mark m set upto = v_last
	where m.tenant_id = p_tenant and m.kind = p_kind and v_last is not null;
end $$;

-- Children first.
create function retention_delete(p_tenant integer, p_ids uuid[]) returns integer
language plpgsql as $$
declare
	v_deleted integer;
begin
	if cardinality(p_ids) = 0 then
		return 0;
	end if;
	delete from interaction_leg l
	where l.tenant_id = p_tenant and l.interaction_id = any (p_ids);
	delete from gap_call g where g.tenant_id = p_tenant and g.interaction_id = any (p_ids);
	delete from external_id x using interaction i
	where i.tenant_id = p_tenant and i.id = any (p_ids) and x.tenant_id = p_tenant
		and x.channel = i.channel and x.external_id = i.external_id
		and x.interaction_id = i.id;
	delete from timeline t using interaction i
	where i.tenant_id = p_tenant and i.id = any (p_ids) and t.tenant_id = p_tenant
		and t.contact_id = i.contact_id and t.id = i.id;
	delete from interaction i where i.tenant_id = p_tenant and i.id = any (p_ids);
	get diagnostics v_deleted = row_count;
	return v_deleted;
end $$;

-- Drops the oldest month whose entries have expired for everybody (arrays: one element per
-- tenant and kind that expires). Its name, or null if there is none. Somebody who reads
-- for long is not waited for: the next time, then.
create function retention_drop(a_tenant integer[], a_kind text[], a_before bigint[])
returns text language plpgsql as $$
declare
	v_month partition_month;
	v_expired boolean;
	v_name text;
begin
	perform set_config('lock_timeout', '500ms', true);
	for v_month in select m.* from partition_month m
		where m.month + interval '1 month'
			<= (select us_to_time(max(b)) from unnest(a_before) b)
		order by m.month
	loop
		v_name := to_char(v_month.month, 'YYYYMM');
		execute format('select not exists (select from %I i where not exists (
			select from unnest($1, $2, $3) e(tenant, kind, before)
			where e.tenant = i.tenant_id and e.kind = i.kind
				and i.id < uuid_floor(us_to_time(e.before))))',
			'interaction_' || v_name)
		into v_expired using a_tenant, a_kind, a_before;
		if v_expired then
			begin
				perform retention_drop_month(v_month.month, v_month.low,
					v_month.high);
				return v_name;
			exception when lock_not_available then
				return null;
			end;
		end if;
	end loop;
	return null;
end $$;

-- tenant: every tenant's, whose entries of that month have all expired
create function retention_drop_month(p_month date, p_low uuid, p_high uuid) returns void
language plpgsql as $$
declare
	v_name text := to_char(p_month, 'YYYYMM');
	v_year date := date_trunc('year', p_month);
begin
	execute format('delete from external_id x using %I i where x.tenant_id = i.tenant_id
		and x.channel = i.channel and x.external_id = i.external_id
		and x.interaction_id = i.id', 'interaction_' || v_name);
	-- tenant: every one's
	delete from gap_call where interaction_id >= p_low and interaction_id < p_high;
	execute format('drop table %I', 'interaction_leg_' || v_name);
	execute format('drop table %I', 'interaction_' || v_name);
	delete from partition_month where month = p_month;
	if v_year < date_trunc('year', now()) and not exists (select from partition_month
		where month >= v_year and month < v_year + interval '1 year') then
		execute format('drop table %I', 'timeline_' || to_char(v_year, 'YYYY'));
	else
		-- tenant: every one's
		delete from timeline where id >= p_low and id < p_high;
	end if;
end $$;

-- What would go now: per kind the number (counted to 100,000) and the oldest.
create function retention_due(p_tenant integer, a_kind text[], a_days bigint[])
returns text language sql stable as $$
	select json_build_object('items', coalesce(json_agg(json_build_object(
		'kind', k.kind, 'days', k.days, 'before', time_text(k.before),
		'due', d.n, 'oldest', time_text(d.oldest),
		'looked_at', time_text(m.begun_at)) order by k.n), '[]'), 'next', null)::text
	from (select kind, days, n, case when days > 0
			then now() - days * interval '1 day' end as before
		from unnest(a_kind, a_days) with ordinality u(kind, days, n)) k
	cross join lateral (select count(*) as n, min(o.at) as oldest
		from (select i.at from interaction i where i.tenant_id = p_tenant
			and i.kind = k.kind and i.id < uuid_floor(k.before)
			order by i.id limit 100000) o) d
	left join retention_mark m on m.tenant_id = p_tenant and m.kind = k.kind
$$;

-- ---- Who has read it --------------------------------------------------------------------

-- Reads, some of them together, off the way of those who read.
create function audit_reads(a_tenant integer[], a_actor text[], a_role text[],
	a_action text[], a_kind text[], a_object text[], a_field text[], a_at bigint[])
returns integer language plpgsql as $$
begin
	perform set_config('synchronous_commit', 'off', true);
	insert into audit (tenant_id, at, actor, role, action, object_kind, object_id, fields)
	select u.tenant, us_to_time(u.at), u.actor, u.role, u.action, u.kind, u.object,
		array[u.field]
	from unnest(a_tenant, a_actor, a_role, a_action, a_kind, a_object, a_field, a_at)
		u(tenant, actor, role, action, kind, object, field, at);
	return cardinality(a_tenant);
end $$;
create index audit_actor on audit (tenant_id, actor, id);

-- ---- Who may read it with tools of their own --------------------------------------------

-- A login of PostgreSQL that sees one tenant's rows. Who is in a session can change neither
-- its user (unlike a setting, or the current user), nor what a policy's expression means:
-- that was bound to this very table when it was made.
create table report_login (
	tenant_id integer not null references tenant,
	login name not null,
	created_at timestamptz not null default now(),
	primary key (tenant_id, login)
);
-- Row-level security on every table: who is not its owner sees the rows of the tenant that
-- their login is of, and none of what holds secrets. The daemon owns the tables, so that
-- none of this is in its plans. To be called by each migration that makes a table.
create function report_protect() returns void language plpgsql as $$
declare
	c_mine constant text := '(select min(l.tenant_id) from report_login l '
		'where l.login = session_user having count(*) = 1)';
	v record;
begin
	for v in
		select c.relname, not c.relispartition and exists (
				select from pg_attribute a where a.attrelid = c.oid
					and a.attname = 'tenant_id'
					and not a.attisdropped) as tenants
		from pg_class c
		where c.relnamespace = current_schema()::regnamespace
			and c.relkind in ('r', 'p') and not c.relrowsecurity
			and c.relname <> 'schema_migration'
	loop
		execute format('alter table %I enable row level security', v.relname);
		if v.relname = 'tenant' then
			execute 'create policy report on tenant for select '
				'using (id = ' || c_mine || ')';
		elsif v.relname = 'report_login' then
			execute 'create policy report on report_login for select '
				'using (login = session_user)';
		elsif v.tenants and v.relname <> all (array['api_key', 'agent_token', 'webhook',
				'webhook_delivery', 'webhook_queue', 'idempotency',
				'quarantine', 'lease', 'tenant_secret']) then
			execute format('create policy report on %I for select '
				'using (tenant_id = ' || c_mine || ')', v.relname);
		end if;
	end loop;
end $$;

-- Partitions made later: nobody is granted them, and whoever is sees nothing.
create or replace function create_partition(p_parent text, p_name text, p_from date,
	p_to date) returns void language plpgsql as $$
begin
	execute format('create table %I (like %I including defaults including constraints) '
		'with (fillfactor = 80, autovacuum_vacuum_insert_scale_factor = 0.05)',
		p_name, p_parent);
	execute format('alter table %I enable row level security', p_name);
	execute format('alter table %I attach partition %I for values from (%L) to (%L)',
		p_parent, p_name, uuid_floor(p_from::timestamp at time zone 'UTC'),
		uuid_floor(p_to::timestamp at time zone 'UTC'));
end $$;

-- What a reporting login may read. Not partitions: their parents' policies hold.
create function report_grant(p_role name) returns void language plpgsql as $$
declare
	v record;
begin
	execute format('grant usage on schema %I to %I', current_schema(), p_role);
	for v in
		select p.tablename from pg_policies p
		where p.schemaname = current_schema() and p.policyname = 'report'
			and p.tablename not in (select relation from privacy_place
				where name in ('retention_mark', 'spool_checkpoint', 'absorbed'))
	loop
		execute format('grant select on %I to %I', v.tablename, p_role);
	end loop;
end $$;

-- Makes the login, if the daemon's role may make roles; else both roles are to be there, the
-- one a member of the other (README), and this gives them their rights. A login is of one
-- tenant. Its password is nobody's business here.
create function report_role(p_tenant text, p_login name) returns void language plpgsql as $$
declare
	v_tenant integer := (select id from tenant where name = p_tenant);
begin
	if v_tenant is null then
		raise exception 'there is no tenant %', p_tenant;
	end if;
	-- tenant: a login must not be of two of them
	if exists (select from report_login where login = p_login and tenant_id <> v_tenant) then
		raise exception '% reads another tenant', p_login;
	end if;
	if not exists (select from pg_roles where rolname = 'interactd_report') then
		create role interactd_report nologin;
	end if;
	if not exists (select from pg_roles where rolname = p_login) then
		execute format('create role %I login', p_login);
		execute format('alter role %I set default_transaction_read_only = on', p_login);
	end if;
	if exists (select from pg_roles where rolname = p_login
		and (rolsuper or rolbypassrls)) or pg_has_role(p_login, current_user, 'member')
	then
		raise exception '% may see everything: take another login', p_login;
	end if;
	if not pg_has_role(p_login, 'interactd_report', 'member') then
		execute format('grant interactd_report to %I', p_login);
	end if;
	perform report_grant('interactd_report');
	insert into report_login (tenant_id, login) values (v_tenant, p_login)
	on conflict do nothing;
end $$;

select report_protect();
