-- calls that agents have placed: their audit and idempotency, before the phone rings

-- A phone that rings cannot be rolled back, so this is committed first. p_place: false
-- looks whether the same request was answered before and changes nothing; state is then
-- 'refused' instead of 'new'.
create function call_dial(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_fields text[], p_response text, p_place boolean, p_caller text, p_method text,
	p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
begin
	select b.state, b.status, b.response into state, status, response
	from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key, p_hash) b;
	if state <> 'new' then
		return;
	end if;
	if not p_place then
		state := 'refused';
		return;
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'call.dialled', 'interaction',
		p_id::text, p_fields);
	status := 202;
	response := p_response;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		response);
end $$;

-- The phone system said no: the same request may be tried again.
create function call_dial_undo(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_caller text, p_method text, p_path text, p_key text) returns void
language plpgsql as $$
begin
	perform audit_add(p_tenant, p_actor, p_role, 'call.refused', 'interaction',
		p_id::text, '{}');
	delete from idempotency i
	where i.tenant_id = p_tenant and i.caller = p_caller and i.method = p_method
		and i.path = p_path and i.key = p_key;
end $$;
