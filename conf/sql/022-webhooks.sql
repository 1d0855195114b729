-- webhooks: who is told what happens, and what is still to be told

-- An event for webhooks is written by the transaction that makes its effect: one row per
-- webhook that wants it, with the body as it will be sent. webhook_queue has one row per
-- webhook and key (a contact, or what the event is about if it has none) that has
-- something waiting; it is the lock under which the key's deliveries go out one after
-- another. Several of its rows are always locked in the order of (webhook, key).

create table webhook (
	tenant_id integer not null references tenant,
	id uuid not null,
	url text not null,
	events text[] not null,
	secret text not null,
	-- what the receiver may still check with, until then
	old_secret text,
	old_secret_until timestamptz,
	enabled boolean not null default true,
	description text not null default '',
	-- failing: only probed; gone: the receiver answered 410, and it was disabled
	state text not null default 'ok' check (state in ('ok', 'failing', 'gone')),
	failing_since timestamptz,
	last_status integer,
	last_error text,
	last_tried_at timestamptz,
	last_delivered_at timestamptz,
	created_at timestamptz not null default now(),
	created_by text not null default '',
	updated_at timestamptz not null default clock_timestamp(),
	deleted_at timestamptz,
	primary key (tenant_id, id)
) with (fillfactor = 50);

-- seq: the order of events; drawn while the contact's row is locked.
create table webhook_delivery (
	tenant_id integer not null,
	webhook_id uuid not null,
	seq bigint generated always as identity,
	id uuid not null default gen_random_uuid(),
	order_key text not null,
	event_id uuid not null,
	type text not null,
	body text not null,
	state text not null default 'waiting'
		check (state in ('waiting', 'delivered', 'dead')),
	tries integer not null default 0,
	status integer,
	error text,
	queued_at timestamptz not null default now(),
	tried_at timestamptz,
	done_at timestamptz,
	primary key (tenant_id, webhook_id, seq)
);
create unique index webhook_delivery_id on webhook_delivery (tenant_id, id);
create unique index webhook_delivery_event on webhook_delivery
	(tenant_id, event_id, webhook_id);
create index webhook_delivery_waiting on webhook_delivery
	(tenant_id, webhook_id, order_key, seq) where state = 'waiting';
create index webhook_delivery_age on webhook_delivery (tenant_id, webhook_id, queued_at)
	where state = 'waiting';
create index webhook_delivery_dead on webhook_delivery (tenant_id, seq) where state = 'dead';
create index webhook_delivery_done on webhook_delivery (state, done_at)
	where done_at is not null;

-- next_at: when its first delivery may be tried. A sender that takes it puts this off to
-- the end of its lease (leased), so that what a crash leaves comes back by itself.
create table webhook_queue (
	tenant_id integer not null,
	webhook_id uuid not null,
	order_key text not null,
	pending integer not null,
	next_at timestamptz not null default now(),
	leased boolean not null default false,
	primary key (tenant_id, webhook_id, order_key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
create index webhook_queue_next on webhook_queue (tenant_id, webhook_id, next_at);

create function webhook_wants(p_patterns text[], p_type text) returns boolean
language sql immutable strict parallel safe as
$$ select p_patterns && array['*', p_type, split_part(p_type, '.', 1) || '.*'] $$;

-- What an event waits behind.
create function event_key(p_type text, p_object jsonb) returns text
language sql immutable parallel safe as $$
	select left(coalesce(case when p_type not like 'contact.%'
		then p_object->>'contact' end, p_object->>'id', p_type), 100)
$$;

-- The n-th event of one change (event_nth of the daemon).
create function event_nth(p_id uuid, p_n integer) returns uuid
language sql immutable strict parallel safe as
$$ select (left(p_id::text, 32) || lpad(to_hex(p_n), 4, '0'))::uuid $$;

-- Byte for byte what the daemon publishes on Redis.
create function event_body(p_id uuid, p_type text, p_at bigint, p_tenant text, p_object text,
	p_changes text) returns text language sql stable parallel safe as $$
	select '{"v":1,"id":"' || p_id || '","type":"' || p_type || '","at":"'
		|| time_text(us_to_time(p_at)) || '","tenant":"' || p_tenant || '","object":'
		|| p_object || ',"changes":' || coalesce(p_changes, '{}') || '}'
$$;

-- Writes events for those who want them, in the order given. Again with the same ids: once.
create function events_keep(a_tenant integer[], a_id uuid[], a_type text[], a_at bigint[],
	a_object text[], a_changes text[]) returns integer language plpgsql as $$
declare
	v_made integer;
begin
	with made as (
		insert into webhook_delivery as d (tenant_id, webhook_id, order_key, event_id,
			type, body)
		select e.tenant, w.id, event_key(e.type, e.object::jsonb), e.id, e.type,
			event_body(e.id, e.type, e.at, t.name, e.object, e.changes)
		from unnest(a_tenant, a_id, a_type, a_at, a_object, a_changes)
			with ordinality e(tenant, id, type, at, object, changes, n)
		join tenant t on t.id = e.tenant
		join webhook w on w.tenant_id = e.tenant and w.enabled
			and w.deleted_at is null and webhook_wants(w.events, e.type)
		where e.id is not null
		order by e.n, w.id
		on conflict (tenant_id, event_id, webhook_id) do nothing
		returning d.tenant_id, d.webhook_id, d.order_key),
	queued as (
		insert into webhook_queue as q (tenant_id, webhook_id, order_key, pending)
		select tenant_id, webhook_id, order_key, count(*) from made
		group by 1, 2, 3 order by 1, 2, 3
		on conflict (tenant_id, webhook_id, order_key)
			do update set pending = q.pending + excluded.pending
		returning q.pending)
	select count(*) into v_made from made;
	return v_made;
end $$;

-- After contact_create and contact_patch: the change itself, then the unnamed contacts it
-- absorbed. Nothing for a change that was not made, or that nobody wants (p_id null).
create function contact_events(p_tenant integer, p_id uuid, p_at bigint, p_state text,
	p_type text, p_object text, p_changes text) returns integer language plpgsql as $$
begin
	if p_id is null or p_state not in ('created', 'ok') then
		return 0;
	end if;
	return (select events_keep(array_agg(p_tenant order by n),
			array_agg(event_nth(p_id, n::integer) order by n),
			array_agg(e.type order by n), array_agg(p_at order by n),
			array_agg(p_object order by n), array_agg(e.changes order by n))
		from (select 0 as n, p_type as type, p_changes as changes
			union all
			select a.n, 'contact.merged', '{"absorbed":"' || a.id || '"}'
			from jsonb_array_elements_text(coalesce(p_object::jsonb->'absorbed',
				'[]')) with ordinality a(id, n)) e);
end $$;

-- The same for several contacts at once, each with its number from 1 (at most 255) and its
-- state, 'created' or 'updated': the events of the n-th have the numbers from n * 256.
create function contacts_events(p_tenant integer, p_id uuid, p_at bigint, a_n integer[],
	a_state text[], a_object text[]) returns integer language plpgsql as $$
begin
	if p_id is null then
		return 0;
	end if;
	return (select events_keep(array_agg(p_tenant order by n),
			array_agg(event_nth(p_id, n) order by n),
			array_agg(e.type order by n), array_agg(p_at order by n),
			array_agg(e.object order by n), array_agg(e.changes order by n))
		from (select c.n * 256 as n, 'contact.' || c.state as type, c.object,
				null as changes
			from unnest(a_n, a_state, a_object) c(n, state, object)
			union all
			select c.n * 256 + a.k::integer, 'contact.merged', c.object,
				'{"absorbed":"' || a.id || '"}'
			from unnest(a_n, a_state, a_object) c(n, state, object),
				jsonb_array_elements_text(coalesce(
					c.object::jsonb->'absorbed', '[]'))
				with ordinality a(id, k)
			where a.k < 256) e);
end $$;

-- interactions_save with the events of its savings. Arrays e_* have one element per saving
-- that has some: its unit, whether it is the unit's first saving, its stamp, whether it is
-- an end, whether it is replayed (then only what is new is told), the object with a null
-- contact, and that of a contact made for it, with a nil id. Events of one saving:
-- 0 contact.created, 1 interaction.created, 2 interaction.updated, 3 interaction.ended.
create function interactions_save_told(
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
	c_tenant integer[], c_channel text[], c_seq bigint[],
	e_unit integer[], e_first boolean[], e_id uuid[], e_at bigint[], e_ended boolean[],
	e_quiet boolean[], e_object text[], e_contact text[])
returns table (unit integer, created boolean, contact uuid, contact_created boolean)
language plpgsql as $$
#variable_conflict use_column
declare
	v_over boolean[];	-- had ended before
	v_saved jsonb;
begin
	select array_agg(coalesce(i.state = 'ended', false) order by n) into v_over
	from unnest(a_tenant, a_id) with ordinality u(tenant, id, n)
	left join interaction i on i.tenant_id = u.tenant and i.id = u.id;

	select jsonb_agg(jsonb_build_array(s.created, s.contact, s.contact_created)
		order by s.unit) into v_saved
	from interactions_save(a_tenant, a_id, a_absorbed, a_kind, a_direction, a_channel,
		a_external, a_state, a_agent, a_queue, a_remote_kind, a_remote_value,
		a_remote_normal, a_display, a_withheld, a_trust, a_local, a_at, a_answered,
		a_ended, a_summary, a_variables, a_details, a_disposition, a_wait, a_talk,
		a_hold, a_contact, a_no_contact, a_new_contact, l_unit, l_id, l_type, l_agent,
		l_interface, l_queue, l_result, l_at, l_answered, l_ended, c_tenant, c_channel,
		c_seq) s;

	perform events_keep(array_agg(a_tenant[e.unit] order by e.n, k.n),
		array_agg(event_nth(e.id, k.n) order by e.n, k.n),
		array_agg(k.type order by e.n, k.n), array_agg(e.at order by e.n, k.n),
		array_agg(k.object order by e.n, k.n), array_agg(null::text order by e.n, k.n))
	from (select u.*, r.contact, u.first and (r.made)::boolean as made,
			u.first and (r.contact_made)::boolean as contact_made,
			case when r.contact is null then u.object else overlay(u.object
				placing '"contact":"' || r.contact || '"'
				from strpos(u.object, '"contact":null') for 14) end as object_now
		from unnest(e_unit, e_first, e_id, e_at, e_ended, e_quiet, e_object, e_contact)
			with ordinality u(unit, first, id, at, ended, quiet, object, unnamed, n)
		cross join lateral (select v_saved->(u.unit - 1)->>0 as made,
			v_saved->(u.unit - 1)->>1 as contact,
			v_saved->(u.unit - 1)->>2 as contact_made) r
		-- repeated because the answer was lost: told then
		where not exists (select from webhook_delivery d
			where d.tenant_id = a_tenant[u.unit]
			and d.event_id between u.id and event_nth(u.id, 3))) e
	cross join lateral (
		select 0 as n, 'contact.created' as type, replace(e.unnamed,
			'00000000-0000-0000-0000-000000000000', e.contact) as object
		where e.contact_made and e.unnamed is not null
		union all
		select 1, 'interaction.created', e.object_now where e.made
		union all
		select 2, 'interaction.updated', e.object_now
		where not e.made and not e.ended and not e.quiet
		union all
		select 3, 'interaction.ended', e.object_now
		where e.ended and (not e.quiet or e.made or not v_over[e.unit])) k;

	return query select n::integer, (s->>0)::boolean, (s->>1)::uuid, (s->>2)::boolean
	from jsonb_array_elements(v_saved) with ordinality a(s, n) order by n;
end $$;

-- ---- Sending ----------------------------------------------------------------------------

-- Takes up to p_keys keys that are due, with up to p_each of their first deliveries.
create function webhook_claim(p_tenant integer, p_webhook uuid, p_keys integer,
	p_each integer, p_lease_ms bigint)
returns table (order_key text, seq bigint, id uuid, type text, body text, tries integer,
	queued_us bigint) language plpgsql as $$
#variable_conflict use_column
declare
	v_keys text[];
begin
	perform set_config('synchronous_commit', 'off', true);
	with due as (
		select q.order_key from webhook_queue q
		where q.tenant_id = p_tenant and q.webhook_id = p_webhook
			and q.next_at <= now()
		order by q.next_at limit p_keys for update skip locked),
	taken as (
		update webhook_queue q set leased = true,
			next_at = now() + p_lease_ms * interval '1 millisecond'
		from due where q.tenant_id = p_tenant and q.webhook_id = p_webhook
			and q.order_key = due.order_key
		returning q.order_key)
	select array_agg(taken.order_key) into v_keys from taken;
	-- a statement of its own: it sees all that was committed before the keys were ours
	return query
	select d.order_key, d.seq, d.id, d.type, d.body, d.tries, time_to_us(d.queued_at)
	from unnest(v_keys) k(key)
	cross join lateral (select * from webhook_delivery d
		where d.tenant_id = p_tenant and d.webhook_id = p_webhook
			and d.order_key = k.key and d.state = 'waiting'
		order by d.seq limit p_each) d
	order by d.order_key, d.seq;
end $$;

-- Keys given back, each due again after r_delay ms; what became of deliveries
-- ('delivered', 'waiting': failed, to be tried again, 'dead'); how the webhook stands.
create function webhook_report(p_tenant integer, p_webhook uuid, r_key text[],
	r_delay bigint[], d_seq bigint[], d_state text[], d_status integer[], d_error text[],
	p_state text, p_failing_since bigint, p_wake boolean) returns void
language plpgsql as $$
begin
	perform set_config('synchronous_commit', 'off', true);
	perform 1 from webhook_queue
	where tenant_id = p_tenant and webhook_id = p_webhook and order_key = any (r_key)
	order by order_key for update;

	with told as (
		update webhook_delivery d set tries = d.tries + 1, tried_at = now(),
			state = u.state, status = u.status, error = u.error,
			done_at = case when u.state <> 'waiting' then now() end
		from unnest(d_seq, d_state, d_status, d_error) u(seq, state, status, error)
		where d.tenant_id = p_tenant and d.webhook_id = p_webhook and d.seq = u.seq
			and d.state = 'waiting'
		returning d.order_key, d.state)
	update webhook_queue q set leased = false,
		next_at = now() + r.delay * interval '1 millisecond',
		pending = q.pending - (select count(*) from told
			where told.order_key = q.order_key and told.state <> 'waiting')
	from unnest(r_key, r_delay) r(key, delay)
	where q.tenant_id = p_tenant and q.webhook_id = p_webhook and q.order_key = r.key;
	delete from webhook_queue
	where tenant_id = p_tenant and webhook_id = p_webhook and order_key = any (r_key)
		and pending <= 0;

	update webhook w set state = p_state, failing_since = us_to_time(p_failing_since),
		enabled = w.enabled and p_state <> 'gone',
		last_status = coalesce(d_status[cardinality(d_status)], w.last_status),
		last_error = case when cardinality(d_seq) > 0
			then d_error[cardinality(d_error)] else w.last_error end,
		last_tried_at = case when cardinality(d_seq) > 0
			then now() else w.last_tried_at end,
		last_delivered_at = case when 'delivered' = any (d_state)
			then now() else w.last_delivered_at end
	where w.tenant_id = p_tenant and w.id = p_webhook;
	if p_wake then
		update webhook_queue q set next_at = now()
		from (select order_key from webhook_queue
			where tenant_id = p_tenant and webhook_id = p_webhook
				and next_at > now() and not leased
			order by order_key for update skip locked) late
		where q.tenant_id = p_tenant and q.webhook_id = p_webhook
			and q.order_key = late.order_key;
	end if;
end $$;

-- Takes these deliveries (all of one webhook) off the keys' counts, under the keys' locks.
create function webhook_uncount(p_tenant integer, p_webhook uuid, p_keys text[])
returns void language sql as $$
	update webhook_queue q set pending = q.pending - k.n
	from (select key, count(*) as n from unnest(p_keys) key group by key) k
	where q.tenant_id = p_tenant and q.webhook_id = p_webhook and q.order_key = k.key;
	delete from webhook_queue
	where tenant_id = p_tenant and webhook_id = p_webhook and order_key = any (p_keys)
		and pending <= 0;
$$;

-- What waits for too long is dead, but not under a sender's hands.
create function webhook_expire(p_tenant integer, p_webhook uuid, p_give_up interval,
	p_limit integer) returns integer language plpgsql as $$
declare
	v_free text[];
	v_dead text[];
begin
	v_free := array(select order_key from webhook_queue
		where tenant_id = p_tenant and webhook_id = p_webhook and not leased
			and order_key in (select order_key from webhook_delivery
				where tenant_id = p_tenant and webhook_id = p_webhook
					and state = 'waiting' and queued_at < now() - p_give_up
				order by queued_at limit p_limit)
		order by order_key for update skip locked);
	with dead as (
		update webhook_delivery set state = 'dead', done_at = now(),
			error = coalesce(error, 'not delivered in time')
		where tenant_id = p_tenant and webhook_id = p_webhook and state = 'waiting'
			and order_key = any (v_free) and queued_at < now() - p_give_up
		returning order_key)
	select array_agg(order_key) into v_dead from dead;
	perform webhook_uncount(p_tenant, p_webhook, v_dead);
	return coalesce(cardinality(v_dead), 0);
end $$;

-- Housekeeping in small steps: call again while it returns p_limit or more. state_r counts
-- those that became dead.
create function webhooks_maintain(p_give_up_ms bigint, p_retention_ms bigint,
	p_dead_retention_ms bigint, p_limit integer,
	out expired integer, out removed integer) language plpgsql as $$
declare
	v record;
	v_ms interval := interval '1 millisecond';
	v_n integer;
begin
	perform set_config('synchronous_commit', 'off', true);
	expired := 0;
	removed := 0;
	for v in select tenant_id, id from webhook order by tenant_id, id loop
		expired := expired + webhook_expire(v.tenant_id, v.id, p_give_up_ms * v_ms,
			p_limit);
	end loop;
	delete from webhook_delivery where ctid = any (array(
		select ctid from webhook_delivery where state = 'delivered'
			and done_at < now() - p_retention_ms * v_ms
		limit p_limit));
	get diagnostics v_n = row_count;
	removed := removed + v_n;
	delete from webhook_delivery where ctid = any (array(
		select ctid from webhook_delivery where state = 'dead'
			and done_at < now() - p_dead_retention_ms * v_ms
		limit p_limit));
	get diagnostics v_n = row_count;
	removed := removed + v_n;
	for v in select tenant_id, id from webhook where deleted_at is not null loop
		delete from webhook_queue where tenant_id = v.tenant_id and webhook_id = v.id;
		delete from webhook_delivery where ctid = any (array(
			select ctid from webhook_delivery
			where tenant_id = v.tenant_id and webhook_id = v.id limit p_limit));
		get diagnostics v_n = row_count;
		removed := removed + v_n;
		if v_n = 0 then
			delete from webhook where tenant_id = v.tenant_id and id = v.id;
		end if;
	end loop;
end $$;

-- ---- The API ----------------------------------------------------------------------------

-- Never a secret.
create function webhook_json(w webhook) returns json language sql stable as $$
	select json_build_object('id', w.id, 'url', w.url, 'events', w.events,
		'enabled', w.enabled, 'description', w.description,
		'state', case when w.state = 'gone' then 'gone' when not w.enabled
			then 'disabled' else w.state end,
		'failing_since', time_text(w.failing_since),
		'old_secret_until', time_text(case when w.old_secret_until > now()
			then w.old_secret_until end),
		'last_status', w.last_status, 'last_error', w.last_error,
		'last_tried_at', time_text(w.last_tried_at),
		'last_delivered_at', time_text(w.last_delivered_at),
		'waiting', coalesce((select sum(q.pending) from webhook_queue q
			where q.tenant_id = w.tenant_id and q.webhook_id = w.id), 0),
		'created_at', time_text(w.created_at), 'created_by', w.created_by,
		'updated_at', time_text(w.updated_at))
$$;

create function webhook_delivery_json(d webhook_delivery) returns json
language sql stable as $$
	select json_build_object('id', d.id, 'webhook', d.webhook_id, 'event', d.event_id,
		'type', d.type, 'state', d.state, 'tries', d.tries, 'status', d.status,
		'error', d.error, 'queued_at', time_text(d.queued_at),
		'tried_at', time_text(d.tried_at), 'done_at', time_text(d.done_at))
$$;

-- state is idempotency_begin's, or 'full'.
create function webhook_create(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_url text, p_events text[], p_secret text, p_enabled boolean, p_description text,
	p_fields text[], p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
declare
	v webhook;
begin
	select b.state, b.status, b.response into state, status, response
	from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key, p_hash) b;
	if state <> 'new' then
		return;
	end if;
	if (select count(*) from webhook where tenant_id = p_tenant and deleted_at is null)
		>= 100 then
		state := 'full';
		return;
	end if;
	insert into webhook (tenant_id, id, url, events, secret, enabled, description,
		created_by)
	values (p_tenant, p_id, p_url, p_events, p_secret, p_enabled, p_description, p_actor)
	returning * into v;
	perform audit_add(p_tenant, p_actor, p_role, 'webhook.created', 'webhook',
		p_id::text, p_fields);
	status := 201;
	response := webhook_json(v)::text;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		response);
end $$;

-- Members of p_set are set. A new secret makes the one before the old one, which signs
-- beside it for p_rotation_ms. Null if there is no such webhook.
create function webhook_patch(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_set jsonb, p_fields text[], p_rotation_ms bigint) returns text
language plpgsql as $$
declare
	v webhook;
	v_fresh boolean := (p_set->>'enabled')::boolean is true or p_set ? 'url';
begin
	update webhook w set url = coalesce(p_set->>'url', w.url),
		events = case when p_set ? 'events' then array(
			select jsonb_array_elements_text(p_set->'events')) else w.events end,
		enabled = coalesce((p_set->>'enabled')::boolean, w.enabled),
		description = coalesce(p_set->>'description', w.description),
		secret = coalesce(p_set->>'secret', w.secret),
		old_secret = case when p_set ? 'secret' then w.secret
			when p_set ? 'old_secret_until' then null else w.old_secret end,
		old_secret_until = case when p_set ? 'secret'
			then now() + p_rotation_ms * interval '1 millisecond'
			when p_set ? 'old_secret_until' then null else w.old_secret_until end,
		state = case when v_fresh then 'ok' else w.state end,
		failing_since = case when v_fresh then null else w.failing_since end,
		updated_at = clock_timestamp()
	where w.tenant_id = p_tenant and w.id = p_id and w.deleted_at is null
	returning * into v;
	if not found then
		return null;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'webhook.updated', 'webhook', p_id::text,
		p_fields);
	return webhook_json(v)::text;
end $$;

create function webhook_delete(p_tenant integer, p_actor text, p_role text, p_id uuid)
returns boolean language plpgsql as $$
begin
	update webhook set deleted_at = now(), enabled = false, secret = '', old_secret = null,
		updated_at = clock_timestamp()
	where tenant_id = p_tenant and id = p_id and deleted_at is null;
	if not found then
		return false;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'webhook.deleted', 'webhook', p_id::text,
		'{}');
	return true;
end $$;

-- Deliveries that are over wait again, with a new 72 hours: the one p_delivery, or those of
-- these states queued in [p_from, p_to), the oldest first. Returns how many.
create function webhook_replay(p_tenant integer, p_actor text, p_role text, p_webhook uuid,
	p_delivery uuid, p_states text[], p_from bigint, p_to bigint, p_limit integer)
returns integer language plpgsql as $$
declare
	v_seq bigint[];
	v_keys text[];
begin
	v_seq := array(select seq from webhook_delivery
		where tenant_id = p_tenant and webhook_id = p_webhook and state = any (p_states)
			and (p_delivery is null or id = p_delivery)
			and (p_from is null or queued_at >= us_to_time(p_from))
			and (p_to is null or queued_at < us_to_time(p_to))
		order by seq limit p_limit for update);
	with again as (
		update webhook_delivery set state = 'waiting', queued_at = now(), done_at = null,
			tries = 0
		where tenant_id = p_tenant and webhook_id = p_webhook and seq = any (v_seq)
		returning order_key)
	select array_agg(order_key) into v_keys from again;
	insert into webhook_queue as q (tenant_id, webhook_id, order_key, pending)
	select p_tenant, p_webhook, key, count(*) from unnest(v_keys) key
	group by key order by key
	on conflict (tenant_id, webhook_id, order_key)
		do update set pending = q.pending + excluded.pending,
			next_at = case when q.leased then q.next_at else now() end;
	if cardinality(v_seq) > 0 then
		perform audit_add(p_tenant, p_actor, p_role, 'webhook.replayed', 'webhook',
			p_webhook::text, '{}');
	end if;
	return cardinality(v_seq);
end $$;
