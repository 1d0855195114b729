-- keys of the API: made and revoked together with their audit

-- The answer never holds the key itself: it is shown once, by the first answer only.
create function api_key_create(p_tenant integer, p_actor text, p_actor_role text,
	p_id uuid, p_name text, p_role text, p_hash bytea,
	p_caller text, p_method text, p_path text, p_key text, p_body_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
declare
	b record;
begin
	select * into b from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key,
		p_body_hash);
	state := b.state;
	status := b.status;
	response := b.response;
	if state <> 'new' then
		return;
	end if;
	insert into api_key (tenant_id, id, name, role, hash, created_by)
	values (p_tenant, p_id, p_name, p_role, p_hash, p_actor);
	perform audit_add(p_tenant, p_actor, p_actor_role, 'api_key.created', 'api_key',
		p_id::text, array['name', 'role']);
	status := 201;
	response := json_build_object('id', p_id, 'name', p_name, 'role', p_role,
		'created_at', time_text(now()), 'last_used_at', null)::text;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_body_hash,
		status, response);
end $$;

create function api_key_revoke(p_tenant integer, p_actor text, p_actor_role text,
	p_id uuid) returns boolean language plpgsql as $$
begin
	update api_key set revoked_at = now()
	where tenant_id = p_tenant and id = p_id and revoked_at is null;
	if not found then
		return false;
	end if;
	perform audit_add(p_tenant, p_actor, p_actor_role, 'api_key.revoked', 'api_key',
		p_id::text, '{}');
	return true;
end $$;
