-- compatible: yes
-- interactions_save again, for speed: what nearly every saving needs is done in two
-- statements for the whole batch, the rest only if some unit needs it. The parameters and
-- what comes of them are those of 003-timeline.sql.
--
-- What a statement costs before its first row counts here: batches are small unless the
-- daemon is busy, and a statement that reads a partitioned table locks every partition.
-- So the short way reads none: whether the interaction was there tells its own upsert.
--
-- An address with one holder finds him without its lock: what happens to the address at
-- the same moment happens after us. An address that nobody or several hold takes the long
-- way (interactions_save_addresses, _find, _fresh).

-- A call's own id tells it when it is delivered again, so calls have no external_id row.
delete from external_id e using interaction i
where i.tenant_id = e.tenant_id and i.id = e.interaction_id and i.kind = 'call';

-- The ids a month can have, so that a batch finds its place without arithmetic.
alter table partition_month add low uuid, add high uuid;
update partition_month set low = uuid_floor(month::timestamp at time zone 'UTC'),
	high = uuid_floor((month + interval '1 month') at time zone 'UTC');
alter table partition_month alter low set not null, alter high set not null;

create or replace function create_month(p_month date) returns void language plpgsql as $$
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
	insert into partition_month
	values (p_month, uuid_floor(p_month::timestamp at time zone 'UTC'),
		uuid_floor(v_next::timestamp at time zone 'UTC'));
end $$;

-- Redelivered under another id: then it is nobody's saving, and who the first was with is
-- who this is with.
create function interactions_save_redelivered(a_tenant integer[], a_kind text[],
	a_channel text[], a_external text[], a_id uuid[], a_skip boolean[], a_contact uuid[],
	out skip boolean[], out contacts uuid[]) language plpgsql as $$
#variable_conflict use_column
begin
	perform interactions_save_external(a_tenant, a_channel, array(
			select case when kind <> 'call' then external end
			from unnest(a_kind, a_external) with ordinality u(kind, external, n)
			order by n), a_id);
	select array_agg(skip or coalesce(x.interaction_id <> u.id, false) order by n),
		array_agg(coalesce(c, i.contact_id) order by n)
	into skip, contacts
	from unnest(a_tenant, a_kind, a_channel, a_external, a_id, a_skip, a_contact)
		with ordinality u(tenant, kind, channel, external, id, skip, c, n)
	left join external_id x on x.tenant_id = u.tenant and x.channel = u.channel
		and x.external_id = u.external and u.kind <> 'call'
	left join interaction i on i.tenant_id = x.tenant_id and i.id = x.interaction_id;
end $$;

-- An ending does not name some legs any more: they go (legs of a living call stay; it is
-- a correction that takes some away). Looked for first, because a delete opens every
-- partition.
create function interactions_save_gone(a_tenant integer[], a_id uuid[], l_id uuid[],
	p_low uuid, p_high uuid) returns void language plpgsql as $$
begin
	if exists (select from unnest(a_tenant, a_id) u(tenant, id)
		join interaction_leg l on l.tenant_id = u.tenant and l.interaction_id = u.id
			and l.interaction_id between p_low and p_high
		where l.id <> all (l_id)) then
		delete from interaction_leg l using unnest(a_tenant, a_id) u(tenant, id)
		where l.tenant_id = u.tenant and l.interaction_id = u.id
			and l.id <> all (l_id);
	end if;
end $$;

-- The long way to who the units are from: redelivered ones, absorbed ones, strangers,
-- addresses that several share.
create function interactions_save_rare(a_tenant integer[], a_id uuid[], a_absorbed uuid[],
	a_kind text[], a_channel text[], a_external text[], a_remote_kind text[],
	a_remote_value text[], a_remote_normal boolean[], a_trust integer[], a_at bigint[],
	a_contact uuid[], a_no_contact boolean[], a_new_contact uuid[],
	out skip boolean[], out contacts uuid[], out roots uuid[], out fresh boolean[])
language plpgsql as $$
declare
	v_redelivery boolean;	-- some unit may be
	v_ask boolean[];	-- to be found by the remote address
begin
	select array_agg(coalesce(i.contact_id, given) order by n),
		array_agg(gone is not null or x.id is not null order by n),
		bool_or(i.id is null and external is not null and u.kind <> 'call')
	into contacts, skip, v_redelivery
	from unnest(a_tenant, a_id, a_contact, a_absorbed, a_external, a_kind)
		with ordinality u(tenant, id, given, gone, external, kind, n)
	left join interaction i on i.tenant_id = u.tenant and i.id = u.id
	left join absorbed x on x.tenant_id = u.tenant and x.id = u.id;
	if v_redelivery then
		select r.skip, r.contacts into skip, contacts
		from interactions_save_redelivered(a_tenant, a_kind, a_channel, a_external,
			a_id, skip, contacts) r;
	end if;
	if cardinality(array_remove(a_absorbed, null)) > 0 then
		perform interactions_save_absorbed(a_tenant, a_id, a_absorbed);
	end if;

	select array_agg(c is null and not skipped and not none and v is not null order by n),
		array_agg(false order by n)
	into v_ask, fresh
	from unnest(contacts, skip, a_no_contact, a_remote_value)
		with ordinality u(c, skipped, none, v, n);
	if true = any (v_ask) then
		perform interactions_save_addresses(a_tenant, a_remote_kind, a_remote_value,
			a_remote_normal, v_ask);
		select f.contacts, f.fresh into contacts, fresh
		from interactions_save_find(a_tenant, a_remote_kind, a_remote_value,
			a_new_contact, contacts, v_ask) f;
		perform interactions_save_fresh(a_tenant, a_remote_kind, a_remote_value,
			a_trust, a_channel, a_at, contacts, fresh);
	end if;
	roots := interactions_save_lock(a_tenant, contacts);
end $$;

create or replace function interactions_save(
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
	v_ids uuid[] := array(select id from unnest(a_id) id order by id);
	v_rare boolean;		-- some unit takes the long way whatever comes
	v_skip boolean[];	-- redelivered under another id, or absorbed
	v_contact uuid[];
	v_ask boolean[];	-- to be found by the remote address
	v_unfound boolean[];	-- of these, those whose address has not one holder
	v_fresh boolean[];
	v_root uuid[];
	v_created boolean[];
	v_kept uuid[];		-- the contact each row had before, or has now
	v_again_tenant integer[];
	v_again uuid[];		-- those that were there before, and end
begin
	if not exists (select from partition_month
		where low <= v_ids[1] and high > v_ids[cardinality(v_ids)]) then
		perform ensure_partitions(min(uuid_time(id)), max(uuid_time(id)))
		from unnest(a_id) id having count(*) > 0;
	end if;

	-- Who they are from, locked in the order of their ids. If somebody is not found,
	-- nobody is locked yet: addresses come before contacts.
	with given as materialized (
		select u.*, x.id is not null as absorbed, h.*,
			coalesce(c, case when h.holders = 1 then h.holder end) as contact,
			ask and h.holders <> 1 as unfound
		from (select tenant, id, rkind, rvalue, c, n,
				c is null and not none and gone is null and rvalue is not null
					as ask,
				gone is not null or (external is not null and kind <> 'call')
					as rare
			from unnest(a_tenant, a_id, a_absorbed, a_kind, a_external,
				a_remote_kind, a_remote_value, a_contact, a_no_contact)
				with ordinality u(tenant, id, gone, kind, external, rkind,
				rvalue, c, none, n)) u
		left join absorbed x on x.tenant_id = u.tenant and x.id = u.id
		left join lateral (
			select count(*) as holders, (array_agg(i.contact_id))[1] as holder
			from identity i
			where i.tenant_id = u.tenant and i.kind = u.rkind
				and i.value = u.rvalue) h on u.ask),
	locked as materialized (
		select c.tenant_id, c.id, coalesce(c.merged_into, c.id) as root
		from (select distinct tenant, contact from given
			where contact is not null
				and not exists (select from given where unfound or rare or absorbed)) u
		join contact c on c.tenant_id = u.tenant and c.id = u.contact
		order by c.tenant_id, c.id for no key update of c)
	select array_agg(g.contact order by n), array_agg(g.ask order by n),
		array_agg(g.absorbed order by n), array_agg(l.root order by n),
		array_agg(false order by n),
		bool_or(g.unfound or g.rare or g.absorbed
			or (g.contact is not null and l.root is null))
	into v_contact, v_ask, v_skip, v_root, v_fresh, v_rare
	from given g left join locked l on l.tenant_id = g.tenant and l.id = g.contact;

	if v_rare then
		select * into v_skip, v_contact, v_root, v_fresh
		from interactions_save_rare(a_tenant, a_id, a_absorbed, a_kind, a_channel,
			a_external, a_remote_kind, a_remote_value, a_remote_normal, a_trust,
			a_at, a_contact, a_no_contact, a_new_contact);
	end if;

	with given as materialized (
		select * from unnest(a_tenant, a_id, a_kind, a_direction, a_channel, a_external,
			a_state, v_contact, a_agent, a_queue, a_remote_kind, a_remote_value,
			a_display, a_withheld, a_trust, a_local, a_at, a_answered, a_ended,
			a_summary, a_variables, a_details, a_disposition, a_wait, a_talk,
			a_hold, v_skip, v_ask) with ordinality u(tenant, id, kind, direction, channel,
			external, state, contact, agent, queue, rkind, rvalue, display,
			withheld, trust, local, at, answered, ended, summary, variables,
			details, disposition, wait, talk, hold, skip, ask, n)),
	saved as (
		insert into interaction as i (tenant_id, id, kind, direction, channel,
			external_id, state, contact_id, agent, queue, remote_kind, remote_value,
			remote_display, withheld, trust, local, at, answered_at, ended_at,
			summary, variables, details, disposition, wait_ms, talk_ms, hold_ms)
		select tenant, id, kind, direction, channel, external, state, contact, agent,
			queue, rkind, rvalue, display, withheld, trust, local, us_to_time(at),
			us_to_time(answered), us_to_time(ended), summary,
			coalesce(variables, '{}')::jsonb, details::jsonb, disposition, wait,
			talk, hold
		from given where not skip
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
		returning i.tenant_id, i.id, i.saves, i.contact_id, i.state),
	legs as (
		insert into interaction_leg as l (tenant_id, interaction_id, id, type, agent,
			interface, queue, at, answered_at, ended_at, result)
		select s.tenant_id, s.id, u.id, type, agent, interface, queue, us_to_time(at),
			us_to_time(answered), us_to_time(ended), result
		from unnest(l_unit, l_id, l_type, l_agent, l_interface, l_queue, l_result,
			l_at, l_answered, l_ended) u(unit, id, type, agent, interface, queue,
			result, at, answered, ended)
		join saved s on s.id = a_id[u.unit] and s.tenant_id = a_tenant[u.unit]
		on conflict (tenant_id, interaction_id, id) do update
		set type = excluded.type, agent = excluded.agent,
			interface = excluded.interface, queue = excluded.queue,
			at = excluded.at, answered_at = excluded.answered_at,
			ended_at = excluded.ended_at, result = excluded.result
		where (l.type, l.agent, l.interface, l.queue, l.at, l.answered_at, l.ended_at,
				l.result)
			is distinct from (excluded.type, excluded.agent, excluded.interface,
				excluded.queue, excluded.at, excluded.answered_at,
				excluded.ended_at, excluded.result)),
	shown as (
		insert into timeline as t (tenant_id, contact_id, id, kind, channel, direction,
			agent, state, disposition, summary)
		select s.tenant_id, s.contact_id, s.id, kind, channel, direction, agent,
			g.state, disposition, left(summary, 200)
		from given g join saved s on s.id = g.id and s.tenant_id = g.tenant
		where s.contact_id is not null
		on conflict (tenant_id, contact_id, id) do update
		set kind = excluded.kind, channel = excluded.channel,
			direction = excluded.direction, agent = excluded.agent,
			state = excluded.state, disposition = excluded.disposition,
			summary = excluded.summary
		where (t.kind, t.channel, t.direction, t.agent, t.state, t.disposition,
				t.summary)
			is distinct from (excluded.kind, excluded.channel, excluded.direction,
				excluded.agent, excluded.state, excluded.disposition,
				excluded.summary)),
	-- an identity rises to the event's trust, and is written at most once a minute
	seen as (
		update identity i set trust = greatest(i.trust, u.trust),
			last_seen = greatest(i.last_seen, us_to_time(u.at))
		from (select tenant, rkind, rvalue, contact, max(trust) as trust, max(at) as at
			from given where ask and not skip and contact is not null
			group by tenant, rkind, rvalue, contact) u
		where i.tenant_id = u.tenant and i.kind = u.rkind and i.value = u.rvalue
			and i.contact_id = u.contact and (i.trust < u.trust
			or i.last_seen < us_to_time(u.at) - interval '1 minute')),
	-- a checkpoint only moves forward
	kept as (
		insert into spool_checkpoint as k (tenant_id, channel, seq)
		select tenant, channel, max(seq) from unnest(c_tenant, c_channel, c_seq)
			u(tenant, channel, seq)
		group by tenant, channel order by tenant, channel
		on conflict (tenant_id, channel) do update
		set seq = excluded.seq, at = now() where k.seq < excluded.seq)
	select array_agg(coalesce(s.saves = 1, false) order by g.n),
		array_agg(coalesce(s.contact_id, g.contact) order by g.n),
		array_agg(s.tenant_id order by g.n) filter (where s.saves > 1
			and s.state = 'ended'),
		array_agg(s.id order by g.n) filter (where s.saves > 1 and s.state = 'ended')
	into v_created, v_kept, v_again_tenant, v_again
	from given g left join saved s on s.id = g.id and s.tenant_id = g.tenant;

	if v_again is not null then
		perform interactions_save_gone(v_again_tenant, v_again, l_id, v_ids[1],
			v_ids[cardinality(v_ids)]);
	end if;
	-- the row had a contact before, and the address has another by now
	if v_kept is distinct from v_contact then
		v_root := interactions_save_lock(a_tenant, v_kept);
	end if;
	return query select n::integer, c, r, f
	from unnest(v_created, v_root, v_fresh) with ordinality u(c, r, f, n);
end $$;

-- done by interactions_save itself now
drop function interactions_save_seen(integer[], text[], text[], uuid[], integer[], bigint[],
	boolean[], boolean[]);
drop function interactions_save_legs(integer[], uuid[], boolean[], boolean[], integer[],
	uuid[], text[], text[], text[], text[], text[], bigint[], bigint[], bigint[]);
drop function interactions_save_timeline(integer[], uuid[], uuid[], text[], text[], text[],
	text[], text[], text[], text[], boolean[]);
