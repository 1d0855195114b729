-- interactions and what belongs to them, partitioned by month; the writer's function

create table interaction (
	tenant_id integer not null,
	id uuid not null,
	kind text not null,
	direction text not null check (direction in ('in', 'out')),
	channel text,
	external_id text,
	state text,
	contact_id uuid,
	conversation_id uuid,
	agent text,
	queue text,
	remote_kind text,
	remote_value text,
	remote_display text,
	withheld boolean not null default false,
	trust smallint not null default 0,
	local text,
	at timestamptz not null,
	answered_at timestamptz,
	ended_at timestamptz,
	summary text,
	variables jsonb not null default '{}',
	details jsonb,
	disposition text,
	wait_ms bigint,
	talk_ms bigint,
	hold_ms bigint,
	saves integer not null default 1,
	updated_at timestamptz not null default now(),
	primary key (tenant_id, id)
) partition by range (id);

create table interaction_leg (
	tenant_id integer not null,
	interaction_id uuid not null,
	id uuid not null,
	type text not null,
	agent text,
	interface text,
	queue text,
	at timestamptz not null,
	answered_at timestamptz,
	ended_at timestamptz,
	result text,
	primary key (tenant_id, interaction_id, id)
) partition by range (interaction_id);

-- What the first page of a timeline shows, and no more: it is read from the index alone.
-- contact_id is the contact it was recorded for; readers go through contact_members.
create table timeline (
	tenant_id integer not null,
	contact_id uuid not null,
	id uuid not null,
	kind text not null,
	channel text,
	direction text not null,
	agent text,
	state text,
	disposition text,
	summary text,
	primary key (tenant_id, contact_id, id)
		include (kind, channel, direction, agent, state, disposition, summary)
) partition by range (id);

-- Months that have their partitions; a table of our own because looking it up costs
-- microseconds and the writer does so for every batch.
create table partition_month (month date primary key);

-- Attaching takes no lock that readers or writers of other partitions would wait for;
-- creating in place would.
create function create_partition(p_parent text, p_name text, p_from date, p_to date)
returns void language plpgsql as $$
begin
	execute format('create table %I (like %I including defaults including constraints) '
		'with (fillfactor = 80, autovacuum_vacuum_insert_scale_factor = 0.05)',
		p_name, p_parent);
	execute format('alter table %I attach partition %I for values from (%L) to (%L)',
		p_parent, p_name, uuid_floor(p_from::timestamp at time zone 'UTC'),
		uuid_floor(p_to::timestamp at time zone 'UTC'));
end $$;

-- A month of interactions and legs. The timeline has years, because a card asks every
-- partition there is: with two years of it (1 million contacts, 5 million entries) cards
-- a second by years and by months were 2876 and 1540, 1851 and 822 warm, 919 and 346,
-- 661 and 417 cold, in pairs of runs on one busy machine.
create function create_month(p_month date) returns void language plpgsql as $$
declare
	v_year date := date_trunc('year', p_month);
	v_next date := p_month + interval '1 month';
begin
	perform create_partition(t, t || '_' || to_char(p_month, 'YYYYMM'), p_month, v_next)
	from unnest(array['interaction', 'interaction_leg']) t;
	if to_regclass('timeline_' || to_char(v_year, 'YYYY')) is null then
		perform create_partition('timeline', 'timeline_' || to_char(v_year, 'YYYY'),
			v_year, (v_year + interval '1 year')::date);
	end if;
	insert into partition_month values (p_month);
end $$;

-- Makes sure that ids of these times have a place; returns how many months were made.
create function ensure_partitions(p_from timestamptz, p_to timestamptz) returns integer
language plpgsql as $$
declare
	v_first date := date_trunc('month', p_from at time zone 'UTC');
	v_last date := date_trunc('month', p_to at time zone 'UTC');
	v_made integer := 0;
	v_month date;
begin
	if (select count(*) from partition_month where month between v_first and v_last)
		= (select count(*) from generate_series(v_first, v_last, interval '1 month')) then
		return 0;
	end if;
	if v_first < '1990-01-01' or v_last > now() + interval '400 days' then
		raise datetime_field_overflow using
			message = format('no place in the timeline for %s', p_from);
	end if;
	perform pg_advisory_xact_lock(hashtextextended('interactd partitions', 0));
	for v_month in select m::date
		from generate_series(v_first, v_last, interval '1 month') m loop
		if not exists (select from partition_month where month = v_month) then
			perform create_month(v_month);
			v_made := v_made + 1;
		end if;
	end loop;
	return v_made;
end $$;
select ensure_partitions(now(), now() + interval '2 months');

-- Catches what is delivered twice: a unique key cannot span monthly partitions.
create table external_id (
	tenant_id integer not null,
	channel text not null,
	external_id text not null,
	interaction_id uuid not null,
	primary key (tenant_id, channel, external_id)
);

-- Interactions that turned out to be part of another: a replay does not bring them back.
-- Kept for as long as a spool may hold their events.
create table absorbed (
	tenant_id integer not null,
	id uuid not null,
	absorbed_by uuid not null,
	at timestamptz not null default now(),
	primary key (tenant_id, id)
);

create table spool_checkpoint (
	tenant_id integer not null,
	channel text not null,
	seq bigint not null,
	at timestamptz not null default now(),
	primary key (tenant_id, channel)
) with (fillfactor = 50);

-- Units that failed alone. payload is text on purpose: it may be what jsonb refused.
create table quarantine (
	tenant_id integer not null,
	id uuid not null,
	at timestamptz not null default now(),
	interaction_id uuid not null,
	channel text,
	kind text,
	sqlstate text not null,
	error text not null,
	payload text not null,
	tries integer not null default 1,
	primary key (tenant_id, id)
);

-- The steps of interactions_save, each for a whole batch; arrays as there. They are
-- PL/pgSQL because that keeps its plans, which SQL functions do not.
-- External ids not seen before are ours now; of several in one batch the first.
create function interactions_save_external(a_tenant integer[], a_channel text[],
	a_external text[], a_id uuid[]) returns void language plpgsql as $$
begin
	insert into external_id (tenant_id, channel, external_id, interaction_id)
	select distinct on (tenant, channel, external) tenant, channel, external, id
	from unnest(a_tenant, a_channel, a_external, a_id)
		with ordinality u(tenant, channel, external, id, n)
	where external is not null and channel is not null
	order by tenant, channel, external, n
	on conflict do nothing;
end $$;

-- An entry that turned out to be part of another goes, with what hangs on it.
create function interactions_save_absorbed(a_tenant integer[], a_id uuid[],
	a_absorbed uuid[]) returns void language plpgsql as $$
begin
	insert into absorbed (tenant_id, id, absorbed_by)
	select tenant, id, by from unnest(a_tenant, a_id, a_absorbed) u(tenant, id, by)
	where by is not null
	on conflict do nothing;

	with gone as (
		delete from interaction i using unnest(a_tenant, a_id, a_absorbed)
			u(tenant, id, absorbed)
		where u.absorbed is not null and i.tenant_id = u.tenant and i.id = u.id
		returning i.tenant_id, i.id, i.contact_id),
	legs as (
		delete from interaction_leg l using gone g
		where l.tenant_id = g.tenant_id and l.interaction_id = g.id)
	delete from timeline t using gone g
	where t.tenant_id = g.tenant_id and t.contact_id = g.contact_id and t.id = g.id;
end $$;

-- Makes and locks the addresses of the units that ask, in order.
create function interactions_save_addresses(a_tenant integer[], a_kind text[],
	a_value text[], a_normal boolean[], a_ask boolean[]) returns void
language plpgsql as $$
begin
	insert into address (tenant_id, kind, value, normal)
	select distinct on (tenant, kind, value) tenant, kind, value, normal
	from unnest(a_tenant, a_kind, a_value, a_normal, a_ask)
		u(tenant, kind, value, normal, ask)
	where ask order by tenant, kind, value
	on conflict do nothing;
	perform 1 from (select distinct tenant, kind, value
			from unnest(a_tenant, a_kind, a_value, a_ask) u(tenant, kind, value, ask)
			where ask) u
		join address a on a.tenant_id = u.tenant and a.kind = u.kind and a.value = u.value
	order by a.tenant_id, a.kind, a.value
	for no key update of a;
end $$;

-- Who the units that ask are from. strong: how many resolved contacts hold the address at
-- recorded or better; two or more share it, and it identifies nobody. With one, or with one
-- that merely claims it, it is the member whose address it is. Several that claim it and
-- nobody who proved it: an unnamed one, never a named. None of these: a new contact, the
-- same for all units of the batch with that address.
create function interactions_save_find(a_tenant integer[], a_kind text[], a_value text[],
	a_new uuid[], a_contact uuid[], a_ask boolean[],
	out contacts uuid[], out fresh boolean[]) language plpgsql as $$
#variable_conflict use_column
begin
	with held as (
		select w.*, i.contact_id, i.trust, i.first_seen,
			coalesce(c.merged_into, c.id) as root,
			coalesce(r.name, c.name) as name
		from (select distinct tenant, kind, value
			from unnest(a_tenant, a_kind, a_value, a_ask)
				u(tenant, kind, value, ask) where ask) w
		join identity i on i.tenant_id = w.tenant and i.kind = w.kind
			and i.value = w.value
		join contact c on c.tenant_id = i.tenant_id and c.id = i.contact_id
		left join contact r on r.tenant_id = c.tenant_id and r.id = c.merged_into),
	holder as (
		select tenant, kind, value, strong, case
			when strong > 1 then null
			when strong = 1 or total = 1 then best
			else unnamed end as member
		from (select tenant, kind, value,
				count(distinct root) filter (where trust >= 1) as strong,
				count(distinct root) as total,
				(array_agg(contact_id order by trust desc, first_seen,
					contact_id))[1] as best,
				(array_agg(contact_id order by first_seen, contact_id)
					filter (where name is null))[1] as unnamed
			from held group by tenant, kind, value) h),
	found as (
		select u.*, h.member,
			ask and h.member is null and coalesce(h.strong, 0) < 2 as fresh
		from unnest(a_tenant, a_kind, a_value, a_new, a_contact, a_ask)
			with ordinality u(tenant, kind, value, new, c, ask, n)
		left join holder h on u.ask and h.value = u.value and h.kind = u.kind
			and h.tenant = u.tenant)
	select array_agg(case when fresh then made else coalesce(c, member) end order by n),
		array_agg(fresh order by n)
	into contacts, fresh
	from (select n, c, member, fresh, first_value(coalesce(new, gen_random_uuid()))
			over (partition by tenant, kind, value order by not fresh, n) as made
		from found) f;
end $$;

-- Strangers become unnamed contacts.
create function interactions_save_fresh(a_tenant integer[], a_kind text[], a_value text[],
	a_trust integer[], a_channel text[], a_at bigint[], a_contact uuid[],
	a_fresh boolean[]) returns void language plpgsql as $$
begin
	insert into contact (tenant_id, id, created_at)
	select distinct on (tenant, contact) tenant, contact, us_to_time(at)
	from unnest(a_tenant, a_contact, a_at, a_fresh) u(tenant, contact, at, fresh)
	where fresh order by tenant, contact
	on conflict do nothing;

	insert into identity (tenant_id, kind, value, contact_id, trust, source, first_seen,
		last_seen)
	select distinct on (tenant, kind, value, contact) tenant, kind, value, contact, trust,
		coalesce(channel, ''), us_to_time(at), us_to_time(at)
	from unnest(a_tenant, a_kind, a_value, a_contact, a_trust, a_channel, a_at, a_fresh)
		with ordinality u(tenant, kind, value, contact, trust, channel, at, fresh, n)
	where fresh order by tenant, kind, value, contact, trust desc, n
	on conflict do nothing;
end $$;

-- Locks the contacts in the order of their ids and tells their roots.
create function interactions_save_lock(a_tenant integer[], a_contact uuid[]) returns uuid[]
language plpgsql as $$
declare
	v_root uuid[];
	v_missing uuid;
begin
	perform 1 from (select distinct tenant, contact
			from unnest(a_tenant, a_contact) u(tenant, contact)
			where contact is not null) u
		join contact c on c.tenant_id = u.tenant and c.id = u.contact
	order by c.tenant_id, c.id for no key update of c;

	select array_agg(coalesce(c.merged_into, c.id) order by n),
		(array_agg(contact) filter (where contact is not null and c.id is null))[1]
	into v_root, v_missing
	from unnest(a_tenant, a_contact) with ordinality u(tenant, contact, n)
	left join contact c on c.tenant_id = u.tenant and c.id = u.contact;
	if v_missing is not null then
		raise foreign_key_violation using
			message = format('there is no contact %s', v_missing);
	end if;
	return v_root;
end $$;

-- An identity rises to the event's trust, and is written at most once a minute.
create function interactions_save_seen(a_tenant integer[], a_kind text[], a_value text[],
	a_contact uuid[], a_trust integer[], a_at bigint[], a_ask boolean[],
	a_fresh boolean[]) returns void
language plpgsql as $$
begin
	update identity i set trust = greatest(i.trust, u.trust),
		last_seen = greatest(i.last_seen, us_to_time(u.at))
	from (select tenant, kind, value, contact, max(trust) as trust, max(at) as at
		from unnest(a_tenant, a_kind, a_value, a_contact, a_trust, a_at, a_ask, a_fresh)
			u(tenant, kind, value, contact, trust, at, ask, fresh)
		where ask and not fresh and contact is not null
		group by tenant, kind, value, contact) u
	where i.tenant_id = u.tenant and i.kind = u.kind and i.value = u.value
		and i.contact_id = u.contact
		and (i.trust < u.trust or i.last_seen < us_to_time(u.at) - interval '1 minute');
end $$;

-- Leg by leg like the interactions; what a newer saving does not name any more goes.
create function interactions_save_legs(a_tenant integer[], a_id uuid[], a_saved boolean[],
	a_created boolean[], l_unit integer[], l_id uuid[], l_type text[], l_agent text[],
	l_interface text[], l_queue text[], l_result text[], l_at bigint[],
	l_answered bigint[], l_ended bigint[]) returns void language plpgsql as $$
begin
	delete from interaction_leg l
	using unnest(a_tenant, a_id, a_saved, a_created) u(tenant, id, saved, created)
	where u.saved and not u.created and l.tenant_id = u.tenant
		and l.interaction_id = u.id and l.id <> all (l_id);

	insert into interaction_leg as l (tenant_id, interaction_id, id, type, agent,
		interface, queue, at, answered_at, ended_at, result)
	select a_tenant[unit], a_id[unit], id, type, agent, interface, queue,
		us_to_time(at), us_to_time(answered), us_to_time(ended), result
	from unnest(l_unit, l_id, l_type, l_agent, l_interface, l_queue, l_result, l_at,
		l_answered, l_ended) u(unit, id, type, agent, interface, queue, result, at,
		answered, ended)
	where a_saved[unit]
	on conflict (tenant_id, interaction_id, id) do update
	set type = excluded.type, agent = excluded.agent, interface = excluded.interface,
		queue = excluded.queue, at = excluded.at, answered_at = excluded.answered_at,
		ended_at = excluded.ended_at, result = excluded.result
	where (l.type, l.agent, l.interface, l.queue, l.at, l.answered_at, l.ended_at,
			l.result)
		is distinct from (excluded.type, excluded.agent, excluded.interface,
			excluded.queue, excluded.at, excluded.answered_at, excluded.ended_at,
			excluded.result);
end $$;

-- What the card reads. Rewritten only when what it shows has changed.
create function interactions_save_timeline(a_tenant integer[], a_contact uuid[],
	a_id uuid[], a_kind text[], a_channel text[], a_direction text[], a_agent text[],
	a_state text[], a_disposition text[], a_summary text[], a_saved boolean[])
returns void language plpgsql as $$
begin
	insert into timeline as t (tenant_id, contact_id, id, kind, channel, direction,
		agent, state, disposition, summary)
	select tenant, contact, id, kind, channel, direction, agent, state, disposition,
		left(summary, 200)
	from unnest(a_tenant, a_contact, a_id, a_kind, a_channel, a_direction, a_agent,
		a_state, a_disposition, a_summary, a_saved) u(tenant, contact, id, kind,
		channel, direction, agent, state, disposition, summary, saved)
	where saved and contact is not null
	on conflict (tenant_id, contact_id, id) do update
	set kind = excluded.kind, channel = excluded.channel,
		direction = excluded.direction, agent = excluded.agent,
		state = excluded.state, disposition = excluded.disposition,
		summary = excluded.summary
	where (t.kind, t.channel, t.direction, t.agent, t.state, t.disposition, t.summary)
		is distinct from (excluded.kind, excluded.channel, excluded.direction,
			excluded.agent, excluded.state, excluded.disposition, excluded.summary);
end $$;

-- A checkpoint only moves forward.
create function checkpoints_save(c_tenant integer[], c_channel text[], c_seq bigint[])
returns void language plpgsql as $$
begin
	insert into spool_checkpoint as k (tenant_id, channel, seq)
	select tenant, channel, max(seq) from unnest(c_tenant, c_channel, c_seq)
		u(tenant, channel, seq)
	group by tenant, channel order by tenant, channel
	on conflict (tenant_id, channel) do update
	set seq = excluded.seq, at = now() where k.seq < excluded.seq;
end $$;

-- A batch of the writer, in one transaction. Arrays a_* have one element per unit, l_* one
-- per leg (l_unit is its unit, from 1), c_* one per checkpoint. Returns one row per unit.
-- Locks are taken in one order everywhere: external ids, addresses, contacts by id.
create function interactions_save(
	a_tenant integer[], a_id uuid[], a_absorbed uuid[], a_kind text[],
	a_direction text[], a_channel text[], a_external text[], a_state text[],
	a_agent text[], a_queue text[], a_remote_kind text[], a_remote_value text[],
	a_remote_normal boolean[], a_display text[], a_withheld boolean[], a_trust integer[],
	a_local text[], a_at bigint[], a_answered bigint[], a_ended bigint[],
	a_summary text[], a_variables text[], a_details text[], a_disposition text[],
	a_wait bigint[], a_talk bigint[], a_hold bigint[], a_contact uuid[],
	a_no_contact boolean[], a_new_contact uuid[],
	l_unit integer[], l_id uuid[], l_type text[], l_agent text[], l_interface text[],
	l_queue text[], l_result text[], l_at bigint[], l_answered bigint[], l_ended bigint[],
	c_tenant integer[], c_channel text[], c_seq bigint[])
returns table (unit integer, created boolean, contact uuid, contact_created boolean)
language plpgsql
-- every look-up here is a handful of keys into big tables
set enable_seqscan = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
	v_exists boolean[];
	v_skip boolean[];	-- redelivered under another id, or absorbed
	v_contact uuid[];
	v_ask boolean[];	-- to be found by the remote address
	v_fresh boolean[];
	v_saved boolean[];	-- accepted: not older than what is there
	v_root uuid[];
	v_created boolean[];
	v_done uuid[];
	v_new uuid[];
begin
	perform ensure_partitions(min(uuid_time(id)), max(uuid_time(id)))
	from unnest(a_id) id having count(*) > 0;

	select array_agg(i.id is not null order by n),
		array_agg(coalesce(i.contact_id, given) order by n),
		array_agg(gone is not null or x.id is not null order by n)
	into v_exists, v_contact, v_skip
	from unnest(a_tenant, a_id, a_contact, a_absorbed)
		with ordinality u(tenant, id, given, gone, n)
	left join interaction i on i.tenant_id = u.tenant and i.id = u.id
	left join absorbed x on x.tenant_id = u.tenant and x.id = u.id;

	if exists (select from unnest(v_exists, a_external) u(e, x)
		where not e and x is not null) then
		perform interactions_save_external(a_tenant, a_channel, a_external, a_id);
		select array_agg(skip or coalesce(x.interaction_id <> u.id, false) order by n),
			array_agg(coalesce(c, i.contact_id) order by n)
		into v_skip, v_contact
		from unnest(a_tenant, a_kind, a_channel, a_external, a_id, v_skip, v_contact)
			with ordinality u(tenant, kind, channel, external, id, skip, c, n)
		left join external_id x on x.tenant_id = u.tenant and x.channel = u.channel
			and x.external_id = u.external
			-- a call's own id tells it; two may have one linked id
			and u.kind <> 'call'
		left join interaction i on i.tenant_id = x.tenant_id
			and i.id = x.interaction_id;
	end if;
	perform interactions_save_absorbed(a_tenant, a_id, a_absorbed)
	where array_length(array_remove(a_absorbed, null), 1) > 0;

	select array_agg(c is null and not skip and not none and v is not null order by n),
		array_agg(false order by n)
	into v_ask, v_fresh
	from unnest(v_contact, v_skip, a_no_contact, a_remote_value)
		with ordinality u(c, skip, none, v, n);
	if true = any (v_ask) then
		perform interactions_save_addresses(a_tenant, a_remote_kind, a_remote_value,
			a_remote_normal, v_ask);
		select f.contacts, f.fresh into v_contact, v_fresh
		from interactions_save_find(a_tenant, a_remote_kind, a_remote_value,
			a_new_contact, v_contact, v_ask) f;
		perform interactions_save_fresh(a_tenant, a_remote_kind, a_remote_value,
			a_trust, a_channel, a_at, v_contact, v_fresh);
	end if;

	v_root := interactions_save_lock(a_tenant, v_contact);
	perform interactions_save_seen(a_tenant, a_remote_kind, a_remote_value, v_contact,
		a_trust, a_at, v_ask, v_fresh) where true = any (v_ask);

	with saved as (
		insert into interaction as i (tenant_id, id, kind, direction, channel,
			external_id, state, contact_id, agent, queue, remote_kind, remote_value,
			remote_display, withheld, trust, local, at, answered_at, ended_at,
			summary, variables, details, disposition, wait_ms, talk_ms, hold_ms)
		select tenant, id, kind, direction, channel, external, state, contact, agent,
			queue, rkind, rvalue, display, withheld, trust, local, us_to_time(at),
			us_to_time(answered), us_to_time(ended), summary,
			coalesce(variables, '{}')::jsonb, details::jsonb, disposition, wait,
			talk, hold
		from unnest(a_tenant, a_id, a_kind, a_direction, a_channel, a_external, a_state,
			v_contact, a_agent, a_queue, a_remote_kind, a_remote_value, a_display,
			a_withheld, a_trust, a_local, a_at, a_answered, a_ended, a_summary,
			a_variables, a_details, a_disposition, a_wait, a_talk, a_hold, v_skip)
			u(tenant, id, kind, direction, channel, external, state, contact, agent,
			queue, rkind, rvalue, display, withheld, trust, local, at, answered,
			ended, summary, variables, details, disposition, wait, talk, hold, skip)
		where not skip
		on conflict (tenant_id, id) do update
		set kind = excluded.kind, direction = excluded.direction,
			channel = excluded.channel, external_id = excluded.external_id,
			state = excluded.state,
			contact_id = coalesce(i.contact_id, excluded.contact_id),
			agent = excluded.agent, queue = excluded.queue,
			remote_kind = excluded.remote_kind,
			remote_value = excluded.remote_value,
			remote_display = excluded.remote_display,
			withheld = excluded.withheld, trust = excluded.trust,
			local = excluded.local, at = excluded.at,
			answered_at = excluded.answered_at, ended_at = excluded.ended_at,
			summary = excluded.summary, variables = excluded.variables,
			details = excluded.details, disposition = excluded.disposition,
			wait_ms = excluded.wait_ms, talk_ms = excluded.talk_ms,
			hold_ms = excluded.hold_ms, saves = i.saves + 1, updated_at = now()
		-- nothing reopens what has ended, and losing sight of it (interrupted) never
		-- replaces a true ending
		where not (i.state is not distinct from 'ended'
			and (excluded.state is distinct from 'ended'
				or (excluded.disposition is not distinct from 'interrupted'
				and i.disposition is distinct from 'interrupted')))
		returning i.id, i.saves)
	select array_agg(s.id), array_agg(s.id) filter (where s.saves = 1)
	into v_done, v_new from saved s;
	-- by membership: a join of two arrays costs a loop over both
	select array_agg(coalesce(id = any (v_done), false) order by n),
		array_agg(coalesce(id = any (v_new), false) order by n)
	into v_saved, v_created from unnest(a_id) with ordinality u(id, n);

	perform interactions_save_legs(a_tenant, a_id, v_saved, v_created, l_unit, l_id,
		l_type, l_agent, l_interface, l_queue, l_result, l_at, l_answered, l_ended);
	perform interactions_save_timeline(a_tenant, v_contact, a_id, a_kind, a_channel,
		a_direction, a_agent, a_state, a_disposition, a_summary, v_saved);
	perform checkpoints_save(c_tenant, c_channel, c_seq)
	where array_length(c_seq, 1) > 0;

	return query select n::integer, c, r, f
	from unnest(v_created, v_root, v_fresh) with ordinality u(c, r, f, n) order by n;
end $$;

-- The object of contract.md, without what only a single one is read with.
create function interaction_json(i interaction) returns json language sql stable as $$
	select json_build_object('id', i.id, 'kind', i.kind, 'direction', i.direction,
		'channel', i.channel, 'external_id', i.external_id, 'state', i.state,
		'contact', contact_root(i.tenant_id, i.contact_id),
		'conversation', i.conversation_id, 'agent', i.agent, 'queue', i.queue,
		'remote', case when i.remote_kind is not null then json_build_object(
			'kind', i.remote_kind, 'value', i.remote_value,
			'display', i.remote_display, 'withheld', i.withheld,
			'trust', trust_text(i.trust)) end,
		'local', i.local, 'at', time_text(i.at),
		'answered_at', time_text(i.answered_at), 'ended_at', time_text(i.ended_at),
		'summary', i.summary, 'variables', i.variables,
		'details', coalesce(i.details, '{}'), 'disposition', i.disposition,
		'wait_ms', i.wait_ms, 'talk_ms', i.talk_ms, 'hold_ms', i.hold_ms)
$$;

create function interaction_full_json(i interaction) returns text language sql stable as $$
	select left(interaction_json(i)::text, -1) || ', "legs" : ' || coalesce((
		select json_agg(json_build_object('id', id, 'type', type, 'agent', agent,
			'interface', interface, 'queue', queue, 'at', time_text(at),
			'answered_at', time_text(answered_at), 'ended_at', time_text(ended_at),
			'result', result) order by at, id)
		from interaction_leg l
		where l.tenant_id = i.tenant_id and l.interaction_id = i.id)::text, '[]')
		|| ', "body" : null, "history" : ' || coalesce((
		select json_agg(json_build_object('at', time_text(at), 'actor', actor,
			'action', action, 'fields', fields) order by id)
		from audit a where a.tenant_id = i.tenant_id
			and a.object_kind = 'interaction' and a.object_id = i.id::text)::text, '[]')
		|| '}'
$$;

-- POST /v1/interactions: logged by hand. state: 'created', 'no_contact', or one of
-- idempotency_begin's.
create function interaction_create(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_contact uuid, p_kind text, p_direction text, p_at bigint, p_summary text,
	p_agent text, p_variables jsonb, p_fields text[],
	p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out json text) language plpgsql as $$
declare
	v record;
	v_row interaction;
begin
	select * into v from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key,
		p_hash);
	state := v.state;
	status := v.status;
	json := v.response;
	if state <> 'new' then
		return;
	end if;
	perform 1 from contact where tenant_id = p_tenant and id = p_contact
	for no key update;
	if not found then
		state := 'no_contact';
		return;
	end if;
	perform ensure_partitions(us_to_time(p_at), us_to_time(p_at));
	insert into interaction (tenant_id, id, kind, direction, state, contact_id, agent, at,
		ended_at, summary, variables)
	values (p_tenant, p_id, p_kind, p_direction, 'ended', p_contact, p_agent,
		us_to_time(p_at), us_to_time(p_at), p_summary, p_variables)
	returning * into v_row;
	insert into timeline (tenant_id, contact_id, id, kind, direction, agent, state, summary)
	values (p_tenant, p_contact, p_id, p_kind, p_direction, p_agent, 'ended',
		left(p_summary, 200));
	perform audit_add(p_tenant, p_actor, p_role, 'interaction.created', 'interaction',
		p_id::text, p_fields);
	state := 'created';
	status := 201;
	json := interaction_full_json(v_row);
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		json);
end $$;

-- Housekeeping, hourly: partitions ahead, and what has served its time.
create function store_maintain() returns integer language plpgsql as $$
begin
	delete from idempotency where created_at < now() - interval '24 hours';
	delete from absorbed where at < now() - interval '90 days';
	return ensure_partitions(now(), now() + interval '2 months');
end $$;
