-- agents and their tokens: changed together with their audit and idempotency

create function agent_json(a agent) returns json language sql stable as $$
	select json_build_object('id', a.id, 'name', a.name, 'interfaces', a.interfaces,
		'queues', a.queues, 'capacity', a.capacity, 'learnt', false,
		'created_at', time_text(a.created_at), 'updated_at', time_text(a.updated_at))
$$;

-- Another agent of the tenant who has one of these interfaces, word for word.
create function agent_interface_holder(p_tenant integer, p_id text, p_interfaces text[])
returns text language sql stable as $$
	select id from agent
	where tenant_id = p_tenant and id <> p_id and interfaces && p_interfaces
	order by id limit 1
$$;

-- state is idempotency_begin's, or 'exists', or 'conflict' (response = the other agent).
create function agent_create(p_tenant integer, p_actor text, p_role text, p_id text,
	p_name text, p_interfaces text[], p_queues text[], p_capacity jsonb,
	p_fields text[], p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
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
	response := agent_json(v)::text;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		response);
end $$;

-- NULL = not to be changed. p_make: an agent learnt from a channel gets a row now. state
-- is 'done', 'not_found' or 'conflict'.
create function agent_patch(p_tenant integer, p_actor text, p_role text, p_id text,
	p_name text, p_interfaces text[], p_queues text[], p_capacity jsonb,
	p_fields text[], p_make boolean, out state text, out response text)
language plpgsql as $$
declare
	v agent;
begin
	perform pg_advisory_xact_lock(hashtextextended('agent ' || p_tenant, 7));
	response := agent_interface_holder(p_tenant, p_id, p_interfaces);
	if response is not null then
		state := 'conflict';
		return;
	end if;
	if p_make then
		insert into agent (tenant_id, id) values (p_tenant, p_id)
		on conflict do nothing;
	end if;
	update agent a set name = coalesce(p_name, a.name),
		interfaces = coalesce(p_interfaces, a.interfaces),
		queues = coalesce(p_queues, a.queues),
		capacity = coalesce(p_capacity, a.capacity), updated_at = clock_timestamp()
	where a.tenant_id = p_tenant and a.id = p_id returning a.* into v;
	if not found then
		state := 'not_found';
		return;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'agent.updated', 'agent', p_id,
		p_fields);
	state := 'done';
	response := agent_json(v)::text;
end $$;

-- The stored answer never holds the token itself: it is shown once.
create function agent_token_create(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_agent text, p_hash bytea, p_ttl interval, p_caller text, p_method text,
	p_path text, p_key text, p_body_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
begin
	select b.state, b.status, b.response into state, status, response
	from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key, p_body_hash) b;
	if state <> 'new' then
		return;
	end if;
	insert into agent_token (tenant_id, id, agent_id, hash, created_by, expires_at)
	values (p_tenant, p_id, p_agent, p_hash, p_actor, now() + p_ttl);
	-- Nobody can use them any more, nor wants to see them.
	delete from agent_token where tenant_id = p_tenant and agent_id = p_agent
		and expires_at < now() - interval '7 days';
	perform audit_add(p_tenant, p_actor, p_role, 'agent_token.created', 'agent', p_agent,
		'{}');
	status := 201;
	response := json_build_object('id', p_id, 'agent', p_agent, 'created_at',
		time_text(now()), 'expires_at', time_text(now() + p_ttl))::text;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_body_hash,
		status, response);
end $$;

create function agent_token_revoke(p_tenant integer, p_actor text, p_role text,
	p_agent text, p_id uuid) returns boolean language plpgsql as $$
begin
	update agent_token set revoked_at = now()
	where tenant_id = p_tenant and id = p_id and agent_id = p_agent
		and revoked_at is null;
	if not found then
		return false;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'agent_token.revoked', 'agent', p_agent,
		'{}');
	return true;
end $$;
