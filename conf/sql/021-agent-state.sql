-- agents' states: what was said of each and when; the state follows from it

create table agent_state (
	tenant_id integer not null references tenant,
	agent_id text not null check (agent_id ~ '^[A-Za-z0-9._-]{1,64}$'),
	-- the latest choice; null = none was made
	chosen text check (chosen in ('available', 'paused', 'offline')),
	chosen_at timestamptz,
	reason text not null default '',
	source text not null default 'none',
	set_by text not null default '',
	-- the latest wrap-up
	wrapup_at timestamptz,
	wrapup_until timestamptz,
	wrapup_source text not null default 'none',
	wrapup_by text not null default '',
	-- the latest choice that ends wrap-ups
	cleared_at timestamptz,
	updated_at timestamptz not null default now(),
	primary key (tenant_id, agent_id),
	check ((chosen is null) = (chosen_at is null)),
	check ((wrapup_at is null) = (wrapup_until is null))
);

-- Never used: an agent's state is here now.
alter table agent drop column state, drop column state_reason, drop column state_since;

-- Each part is replaced only by a later one, so that the order of writers does not matter.
create function agent_state_save(p agent_state) returns void language sql as $$
	insert into agent_state as s
	select p.tenant_id, p.agent_id, p.chosen, p.chosen_at, p.reason, p.source, p.set_by,
		p.wrapup_at, p.wrapup_until, p.wrapup_source, p.wrapup_by, p.cleared_at, now()
	on conflict (tenant_id, agent_id) do update set
		(chosen, chosen_at, reason, source, set_by) = (
			select c.chosen, c.chosen_at, c.reason, c.source, c.set_by
			from (values (s.chosen, s.chosen_at, s.reason, s.source, s.set_by, 0),
				(p.chosen, p.chosen_at, p.reason, p.source, p.set_by, 1))
				c (chosen, chosen_at, reason, source, set_by, new)
			order by c.chosen_at desc nulls last, c.new desc limit 1),
		(wrapup_at, wrapup_until, wrapup_source, wrapup_by) = (
			select w.at, w.until, w.source, w.by
			from (values (s.wrapup_at, s.wrapup_until, s.wrapup_source, s.wrapup_by, 0),
				(p.wrapup_at, p.wrapup_until, p.wrapup_source, p.wrapup_by, 1))
				w (at, until, source, by, new)
			order by w.at desc nulls last, w.new desc limit 1),
		cleared_at = greatest(s.cleared_at, p.cleared_at),
		updated_at = now()
$$;

-- As agent_create without p_members (the object's end: what memory knows of the agent),
-- which is part of the answer, also of the one that is kept.
create function agent_create(p_tenant integer, p_actor text, p_role text, p_id text,
	p_name text, p_interfaces text[], p_queues text[], p_capacity jsonb,
	p_fields text[], p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	p_members text, out state text, out status integer, out response text)
language plpgsql as $$
declare
	v agent;
begin
	select b.state, b.status, b.response into state, status, response
	from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key, p_hash) b;
	if state <> 'new' then
		return;
	end if;
	perform pg_advisory_xact_lock(hashtextextended('agent ' || p_tenant, 7));
	response := agent_interface_holder(p_tenant, p_id, p_interfaces);
	if response is not null then
		state := 'conflict';
		return;
	end if;
	insert into agent (tenant_id, id, name, interfaces, queues, capacity)
	values (p_tenant, p_id, p_name, p_interfaces, p_queues, p_capacity)
	on conflict do nothing returning * into v;
	if not found then
		state := 'exists';
		return;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'agent.created', 'agent', p_id,
		p_fields);
	status := 201;
	response := left(agent_json(v)::text, -1) || p_members;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		response);
end $$;
