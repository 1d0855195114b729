-- who may see what: people of organisations, callers limited to some contacts

-- A caller (a key of the API, an agent) may be limited to contacts that have one of some
-- roles, and to some attributes: p_roles and p_attributes below, null = all. A contact that
-- is not in sight is not there for them; neither are other roles and attributes of one that
-- is, nor an organisation that is not.

alter table api_key add column contact_roles text[], add column attributes text[],
	add check (contact_roles is null or role <> 'admin'),
	add check (attributes is null or role <> 'admin');
alter table agent add column contact_roles text[], add column attributes text[];

-- What it was said to be. A contact that others belong to is an organisation all the same.
alter table contact add column type text not null default 'person'
	check (type in ('person', 'organisation'));
create index contact_people on contact (tenant_id, organisation)
	where organisation is not null;

-- ---- Organisations ----------------------------------------------------------------------

create function contact_type(p_tenant integer, p_root uuid) returns text
language plpgsql stable as $$
begin
	return (select case when c.type = 'organisation' or exists (
			select from contact_members(p_tenant, p_root) m(id)
			cross join lateral (select from contact where tenant_id = p_tenant
				and organisation = m.id and id <> p_root offset 0) p)
		then 'organisation' else 'person' end
	from contact c where c.tenant_id = p_tenant and c.id = p_root);
end $$;

-- As the files before made it, with the type.
alter function contact_json(integer, uuid, uuid, uuid[]) rename to contact_base_json;
create function contact_json(p_tenant integer, p_root uuid, p_asked uuid,
	p_absorbed uuid[] default '{}') returns text language plpgsql stable as $$
begin
	return left(contact_base_json(p_tenant, p_root, p_asked, p_absorbed), -1)
		|| ', "type" : "' || contact_type(p_tenant, p_root) || '"}';
end $$;

-- Whether p_id, or what it belongs to, belongs to p_to: then p_to cannot belong to it.
-- Bounded, for merges may have made a circle.
create function contact_belongs(p_tenant integer, p_id uuid, p_to uuid) returns boolean
language plpgsql stable as $$
declare
	v_at uuid := contact_root(p_tenant, p_id);
begin
	for i in 1 .. 32 loop
		if v_at is null or v_at = p_to then
			return v_at is not null;
		end if;
		select contact_root(p_tenant, organisation) into v_at
		from contact where tenant_id = p_tenant and id = v_at;
	end loop;
	return true;
end $$;

-- An organisation and its people, each with what was merged into them.
create function contact_and_people(p_tenant integer, p_root uuid, p_roles text[])
returns setof uuid language plpgsql stable rows 20 as $$
begin
	return query
	select m.id from contact_members(p_tenant, p_root) m(id)
	union
	select k.id from contact_members(p_tenant, p_root) m(id)
	cross join lateral (select c.id from contact c where c.tenant_id = p_tenant
		and c.organisation = m.id and c.merged_into is null
		and (p_roles is null or c.roles && p_roles) offset 0) p
	cross join lateral contact_members(p_tenant, p.id) k(id);
end $$;

-- As in 002, with the type.
create or replace function contact_set(p_tenant integer, p_id uuid, p_set jsonb) returns void
language sql as $$
	update contact set
		name = case when p_set ? 'name' then p_set->>'name' else name end,
		type = coalesce(p_set->>'type', type),
		roles = case when p_set ? 'roles' then array(
			select jsonb_array_elements_text(p_set->'roles')) else roles end,
		language = case when p_set ? 'language' then p_set->>'language'
			else language end,
		timezone = case when p_set ? 'timezone' then p_set->>'timezone'
			else timezone end,
		vip = case when p_set ? 'vip' then (p_set->>'vip')::boolean else vip end,
		attributes = case when p_set ? 'attributes' then p_set->'attributes'
			else attributes end,
		organisation = case when p_set ? 'organisation'
			then (p_set->>'organisation')::uuid else organisation end,
		updated_at = now()
	where tenant_id = p_tenant and id = p_id
$$;

-- Rows of an import that were made at once say only later that they are organisations.
create function contact_import_types(p_tenant integer, p_rows jsonb, p_fresh integer[])
returns void language sql as $$
	update contact c set type = r.o->'set'->>'type'
	from jsonb_array_elements(p_rows) with ordinality r(o, n)
	where r.n = any (p_fresh) and r.o->'set' ? 'type'
		and c.tenant_id = p_tenant and c.id = (r.o->>'id')::uuid
$$;
alter function contact_import_fresh(integer, text, jsonb) rename to contact_import_fresh_base;
create function contact_import_fresh(p_tenant integer, p_actor text, p_rows jsonb)
returns integer[] language plpgsql as $$
declare
	v_fresh integer[] := contact_import_fresh_base(p_tenant, p_actor, p_rows);
begin
	if p_rows @? '$[*].set.type' then
		perform contact_import_types(p_tenant, p_rows, v_fresh);
	end if;
	return v_fresh;
end $$;

-- ---- Sight ------------------------------------------------------------------------------

create function contact_in_sight(p_tenant integer, p_id uuid, p_roles text[])
returns boolean language plpgsql stable as $$
begin
	return p_roles is null or exists (select from contact
		where tenant_id = p_tenant and id = contact_root(p_tenant, p_id)
			and roles && p_roles);
end $$;

create function attributes_in_sight(p_all jsonb, p_attributes text[]) returns jsonb
language sql immutable parallel safe as $$
	select coalesce(jsonb_object_agg(key, value), '{}')
	from jsonb_each(p_all) where key = any (p_attributes)
$$;

-- The one filter: an object of contact_json as the caller may see it; null = not at all.
create function contact_seen(p_tenant integer, p_object text, p_roles text[],
	p_attributes text[]) returns text language plpgsql stable as $$
declare
	v jsonb;
begin
	if p_object is null or (p_roles is null and p_attributes is null) then
		return p_object;
	end if;
	v := p_object::jsonb;
	if p_roles is not null then
		if not v->'roles' ?| p_roles then
			return null;
		end if;
		v := jsonb_set(v, '{roles}', (select jsonb_agg(r)
			from jsonb_array_elements_text(v->'roles') r where r = any (p_roles)));
		if not contact_in_sight(p_tenant, (v->>'organisation')::uuid, p_roles) then
			v := jsonb_set(v, '{organisation}', 'null');
		end if;
	end if;
	if p_attributes is not null then
		v := jsonb_set(v, '{attributes}',
			attributes_in_sight(v->'attributes', p_attributes));
	end if;
	return v::text;
end $$;

-- Locks whoever holds these addresses, and p_contact (may be null), as
-- contact_add_identities does. True if somebody out of sight would be absorbed who is more
-- than an address that nobody knows.
create function contact_lock_in_sight(p_tenant integer, p_contact uuid, p_addresses jsonb,
	p_roles text[]) returns boolean language plpgsql as $$
declare
	v_holders uuid[];
begin
	v_holders := array(select distinct contact_root(p_tenant, i.contact_id)
		from jsonb_to_recordset(p_addresses) a(kind text, value text)
		cross join lateral (select contact_id from identity i
			where i.tenant_id = p_tenant and i.kind = a.kind and i.value = a.value
			offset 0) i);
	perform 1 from contact where tenant_id = p_tenant
		and (id = p_contact or id = any (v_holders) or merged_into = any (v_holders))
	order by id for no key update;
	return exists (select from contact where tenant_id = p_tenant
		and id = any (v_holders) and id is distinct from p_contact and name is null
		and roles <> '{}' and not roles && p_roles);
end $$;

-- What of p_set a limited caller may not say; null = nothing.
create function contact_set_refusal(p_set jsonb, p_roles text[], p_attributes text[])
returns text language sql immutable as $$
	select case
		when p_roles is not null and p_set ? 'roles'
				and (p_set->'roles' = '[]' or not p_roles @> array(
				select jsonb_array_elements_text(p_set->'roles')))
			then 'roles: of those this caller may see ('
				|| array_to_string(p_roles, ', ') || '), at least one'
		when p_attributes is not null and p_set ? 'attributes' and not p_attributes
				@> array(select jsonb_object_keys(p_set->'attributes'))
			then 'attributes: only those this caller may see ('
				|| array_to_string(p_attributes, ', ') || ')'
	end
$$;

-- contact_create for a caller that may be limited; besides its states there is 'refused',
-- with json = the reason. json of the others is the whole object: contact_seen is for the
-- answer.
create function contact_create_seen(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_set jsonb, p_addresses jsonb, p_shared boolean, p_fields text[],
	p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	p_roles text[], p_attributes text[],
	out state text, out status integer, out json text) language plpgsql as $$
begin
	if p_roles is not null and not p_set ? 'roles' then
		-- with one role to give there is no choice
		p_set := p_set || jsonb_build_object('roles', to_jsonb(case
			when cardinality(p_roles) = 1 then p_roles else '{}' end));
	end if;
	json := contact_set_refusal(p_set, p_roles, p_attributes);
	if json is not null then
		state := 'refused';
		return;
	end if;
	if p_roles is not null then
		if p_set->>'organisation' is not null and not contact_in_sight(p_tenant,
			(p_set->>'organisation')::uuid, p_roles) then
			state := 'no_organisation';
			return;
		end if;
		perform address_lock(p_tenant, p_addresses);
		if contact_lock_in_sight(p_tenant, null, p_addresses, p_roles) then
			state := 'conflict';
			return;
		end if;
	end if;
	select c.state, c.status, c.json into state, status, json
	from contact_create(p_tenant, p_actor, p_role, p_id, p_set, p_addresses, p_shared,
		p_fields, p_caller, p_method, p_path, p_key, p_hash) c;
end $$;

-- What a limited caller's p_set becomes: what they do not see stays. The row is locked.
create function contact_set_kept(p_contact contact, p_set jsonb, p_roles text[],
	p_attributes text[]) returns jsonb language plpgsql stable as $$
begin
	if p_roles is not null and p_set ? 'roles' then
		p_set := jsonb_set(p_set, '{roles}', (p_set->'roles') || coalesce(
			(select jsonb_agg(r) from unnest(p_contact.roles) r
				where r <> all (p_roles)), '[]'));
	end if;
	if p_attributes is not null and p_set ? 'attributes' then
		p_set := jsonb_set(p_set, '{attributes}',
			(p_contact.attributes - p_attributes) || (p_set->'attributes'));
	end if;
	return p_set;
end $$;

-- The same of contact_patch; also 'cycle', for everybody: who belongs to it cannot be what
-- it belongs to.
create function contact_patch_seen(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_set jsonb, p_addresses jsonb, p_remove jsonb, p_shared boolean, p_fields text[],
	p_roles text[], p_attributes text[], out state text, out json text)
language plpgsql as $$
declare
	v_contact contact;
	v_root uuid := contact_root(p_tenant, p_id);
	v_organisation uuid := (p_set->>'organisation')::uuid;
begin
	if p_roles is not null or p_attributes is not null then
		perform address_lock(p_tenant, p_addresses || p_remove);
		if contact_lock_in_sight(p_tenant, v_root, p_addresses, p_roles) then
			state := 'conflict';
		end if;
		-- now it is locked, and what is kept stays
		select * into v_contact from contact where tenant_id = p_tenant and id = v_root;
		if not contact_in_sight(p_tenant, v_root, p_roles) then
			state := 'not_found';
		elsif v_contact.organisation is not null and p_set ? 'organisation'
			and not contact_in_sight(p_tenant, v_contact.organisation, p_roles) then
			state := 'refused';
			json := 'organisation: is not this caller''s to change';
		elsif v_organisation is not null
			and not contact_in_sight(p_tenant, v_organisation, p_roles) then
			state := 'no_organisation';
		elsif state is null then
			json := contact_set_refusal(p_set, p_roles, p_attributes);
			state := case when json is not null then 'refused' end;
			p_set := contact_set_kept(v_contact, p_set, p_roles, p_attributes);
		end if;
	end if;
	if state is null and p_set->>'type' = 'person'
		and contact_type(p_tenant, v_root) = 'organisation'
		and exists (select from contact where tenant_id = p_tenant
			and organisation in (select contact_members(p_tenant, v_root))) then
		state := 'refused';
		json := 'type: others belong to this contact, so it is an organisation';
	elsif state is null and contact_belongs(p_tenant, v_organisation, v_root) then
		state := 'cycle';
	end if;
	if state is null then
		select c.state, c.json into state, json
		from contact_patch(p_tenant, p_actor, p_role, p_id, p_set, p_addresses,
			p_remove, p_shared, p_fields) c;
	end if;
end $$;

-- ---- Keys and agents --------------------------------------------------------------------

-- A member of an object that is null for "all", or an array.
create function json_texts(p jsonb) returns text[] language sql immutable parallel safe as $$
	select case when jsonb_typeof(p) = 'array'
		then array(select jsonb_array_elements_text(p)) end
$$;

create function api_key_json(k api_key) returns json language sql stable as $$
	select json_build_object('id', k.id, 'name', k.name, 'role', k.role,
		'contact_roles', k.contact_roles, 'attributes', k.attributes,
		'created_at', time_text(k.created_at),
		'last_used_at', time_text(k.last_used_at))
$$;

-- As in 010, with what of the contacts the key may see.
drop function api_key_create(integer, text, text, uuid, text, text, bytea, text, text, text,
	text, bytea);
create function api_key_create(p_tenant integer, p_actor text, p_actor_role text,
	p_id uuid, p_name text, p_role text, p_hash bytea, p_contact_roles text[],
	p_attributes text[], p_fields text[],
	p_caller text, p_method text, p_path text, p_key text, p_body_hash bytea,
	out state text, out status integer, out response text) language plpgsql as $$
declare
	v api_key;
begin
	select b.state, b.status, b.response into state, status, response
	from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key, p_body_hash) b;
	if state <> 'new' then
		return;
	end if;
	insert into api_key (tenant_id, id, name, role, hash, created_by, contact_roles,
		attributes)
	values (p_tenant, p_id, p_name, p_role, p_hash, p_actor, p_contact_roles,
		p_attributes)
	returning * into v;
	perform audit_add(p_tenant, p_actor, p_actor_role, 'api_key.created', 'api_key',
		p_id::text, p_fields);
	status := 201;
	response := api_key_json(v)::text;
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_body_hash,
		status, response);
end $$;

-- Members of p_set are set. state: 'done', 'not_found', or 'admin': such a key sees all.
create function api_key_patch(p_tenant integer, p_actor text, p_actor_role text, p_id uuid,
	p_set jsonb, p_fields text[], out state text, out response text)
language plpgsql as $$
declare
	v api_key;
begin
	select * into v from api_key where tenant_id = p_tenant and id = p_id
		and revoked_at is null for no key update;
	if not found then
		state := 'not_found';
		return;
	end if;
	v.name := coalesce(p_set->>'name', v.name);
	v.contact_roles := case when p_set ? 'contact_roles'
		then json_texts(p_set->'contact_roles') else v.contact_roles end;
	v.attributes := case when p_set ? 'attributes'
		then json_texts(p_set->'attributes') else v.attributes end;
	if v.role = 'admin' and (v.contact_roles is not null or v.attributes is not null) then
		state := 'admin';
		return;
	end if;
	update api_key set name = v.name, contact_roles = v.contact_roles,
		attributes = v.attributes
	where tenant_id = p_tenant and id = p_id;
	perform audit_add(p_tenant, p_actor, p_actor_role, 'api_key.updated', 'api_key',
		p_id::text, p_fields);
	state := 'done';
	response := api_key_json(v)::text;
end $$;

create or replace function agent_json(a agent) returns json language sql stable as $$
	select json_build_object('id', a.id, 'name', a.name, 'interfaces', a.interfaces,
		'queues', a.queues, 'capacity', a.capacity,
		'contact_roles', a.contact_roles, 'attributes', a.attributes, 'learnt', false,
		'created_at', time_text(a.created_at), 'updated_at', time_text(a.updated_at))
$$;

-- As in 021 and 011, with what of the contacts the agent may see: members of p_sight are
-- set.
drop function agent_create(integer, text, text, text, text, text[], text[], jsonb, text[],
	text, text, text, text, bytea, text);
create function agent_create(p_tenant integer, p_actor text, p_role text, p_id text,
	p_name text, p_interfaces text[], p_queues text[], p_capacity jsonb, p_sight jsonb,
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
	insert into agent (tenant_id, id, name, interfaces, queues, capacity, contact_roles,
		attributes)
	values (p_tenant, p_id, p_name, p_interfaces, p_queues, p_capacity,
		json_texts(p_sight->'contact_roles'), json_texts(p_sight->'attributes'))
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

drop function agent_patch(integer, text, text, text, text, text[], text[], jsonb, text[],
	boolean);
create function agent_patch(p_tenant integer, p_actor text, p_role text, p_id text,
	p_name text, p_interfaces text[], p_queues text[], p_capacity jsonb, p_sight jsonb,
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
		capacity = coalesce(p_capacity, a.capacity),
		contact_roles = case when p_sight ? 'contact_roles'
			then json_texts(p_sight->'contact_roles') else a.contact_roles end,
		attributes = case when p_sight ? 'attributes'
			then json_texts(p_sight->'attributes') else a.attributes end,
		updated_at = clock_timestamp()
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
