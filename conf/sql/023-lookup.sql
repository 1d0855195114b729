-- Contacts from other systems: imported in batches, or looked up while a call rings.

-- As in 002, but planned once, and each step one look into an index also while the planner
-- believes the tables to be small (OFFSET 0): an import would go through all external ids
-- per row.
create or replace function contact_external_clash(p_tenant integer, p_contact uuid,
	p_other uuid, p_addresses jsonb) returns boolean language plpgsql stable as $$
begin
	return exists (
		select from (select value from jsonb_to_recordset(p_addresses)
				a(kind text, value text) where a.kind = 'external'
			union all
			select i.value from contact_members(p_tenant, p_contact) m(id)
			cross join lateral (select value from identity where contact_id = m.id
				and tenant_id = p_tenant and kind = 'external' offset 0) i) mine,
		(select i.value from contact_members(p_tenant, p_other) m(id)
			cross join lateral (select value from identity where contact_id = m.id
				and tenant_id = p_tenant and kind = 'external' offset 0) i) other
		where split_part(other.value, ':', 1) = split_part(mine.value, ':', 1)
			and other.value <> mine.value);
end $$;

-- As in 002, but planned once per connection, by the contact's own addresses.
create or replace function contact_json(p_tenant integer, p_root uuid, p_asked uuid,
	p_absorbed uuid[] default '{}') returns text language plpgsql stable as $$
begin
	return (
	select left(o, -1)
		|| case when p_asked <> p_root
			then ', "merged_from" : ' || to_json(p_asked)::text else '' end
		|| case when cardinality(p_absorbed) > 0
			then ', "absorbed" : ' || to_json(p_absorbed)::text else '' end
		|| '}'
	from (select json_build_object('id', c.id, 'name', c.name, 'roles', c.roles,
		'language', c.language, 'timezone', c.timezone, 'vip', c.vip,
		'attributes', c.attributes,
		'organisation', contact_root(p_tenant, c.organisation),
		'identities', coalesce((
			select json_agg(json_build_object('kind', kind, 'value', value,
				'trust', trust_text(trust), 'source', source,
				'first_seen', time_text(first_seen),
				'last_seen', time_text(last_seen))
				order by trust desc, first_seen, kind, value)
			from (select kind, value, max(trust) as trust,
				(array_agg(source order by trust desc, first_seen))[1] as source,
				min(first_seen) as first_seen, max(last_seen) as last_seen
				from contact_members(p_tenant, p_root) m(id)
				cross join lateral (select * from identity
					where contact_id = m.id and tenant_id = p_tenant
					offset 0) held
				group by kind, value) i), '[]'),
		'created_at', time_text(c.created_at),
		'updated_at', time_text(c.updated_at))::text as o
	from contact c where c.tenant_id = p_tenant and c.id = p_root) x
	);
end $$;

-- As in 002, one look into an index per address.
-- Gives a contact (a root that exists) these addresses; they are locked. Nothing is done
-- and the named holder is told if there is one that may not share. Unnamed holders are
-- absorbed.
create or replace function contact_add_identities(p_tenant integer, p_actor text, p_role text,
	p_contact uuid, p_addresses jsonb, p_shared boolean,
	out conflict uuid, out absorbed uuid[]) language plpgsql as $$
declare
	v_holders uuid[];
	v record;
begin
	absorbed := '{}';
	v_holders := array(select distinct c.root
		from jsonb_to_recordset(p_addresses) a(kind text, value text)
		cross join lateral (select contact_id from identity i
			where i.tenant_id = p_tenant and i.kind = a.kind and i.value = a.value
			offset 0) i
		cross join lateral (select coalesce(merged_into, id) as root from contact
			where tenant_id = p_tenant and id = i.contact_id offset 0) c
		where c.root <> p_contact);
	perform 1 from contact where tenant_id = p_tenant
		and (id = p_contact or id = any (v_holders) or merged_into = any (v_holders))
	order by id for no key update;
	for v in select c.id, c.name is not null
			or contact_external_clash(p_tenant, p_contact, c.id, p_addresses) as other
		from contact c where c.tenant_id = p_tenant and c.id = any (v_holders)
		order by c.id
	loop
		if v.other and not p_shared then
			conflict := v.id;
			return;
		elsif not v.other then
			absorbed := absorbed || v.id;
		end if;
	end loop;
	for v in select unnest(absorbed) as id loop
		perform contact_absorb(p_tenant, p_contact, v.id,
			jsonb_build_object('addresses', (select jsonb_agg(distinct
				jsonb_build_object('kind', i.kind, 'value', i.value))
				from jsonb_to_recordset(p_addresses) a(kind text, value text)
				join identity i on i.tenant_id = p_tenant and i.kind = a.kind
					and i.value = a.value
				where i.contact_id in (select contact_members(p_tenant, v.id)))),
			p_actor, p_role);
	end loop;
	-- What a member holds at that trust or better is not doubled: undoing the merge
	-- takes it away again.
	insert into identity (tenant_id, kind, value, contact_id, trust, source)
	select distinct on (a.kind, a.value) p_tenant, a.kind, a.value, p_contact, a.trust,
		p_actor
	from jsonb_to_recordset(p_addresses)
		a(kind text, value text, trust smallint)
	where not exists (
		select from contact_members(p_tenant, p_contact) m(id),
		lateral (select from identity i where i.tenant_id = p_tenant
			and i.kind = a.kind and i.value = a.value and i.contact_id = m.id
			and i.trust >= a.trust offset 0) i
		offset 0)
	order by a.kind, a.value, a.trust desc
	on conflict (tenant_id, kind, value, contact_id) do update
	set trust = excluded.trust, source = excluded.source;
end $$;

create function timezone_is_known(p_zone text) returns boolean language plpgsql stable as $$
begin
	perform now() at time zone p_zone;
	return true;
exception when invalid_parameter_value then
	return false;
end $$;

-- Null takes a member away.
create function attributes_add(p_have jsonb, p_add jsonb) returns jsonb
language plpgsql immutable as $$
begin
	return (p_have || p_add) - array(
		select key from jsonb_each(p_add) where value = 'null');
end $$;

-- The rows of an import, each {"id", "set", "add": [{kind, value, normal, trust}],
-- "organisation"}: id for the contact should it be new, organisation = the external id of
-- another. One column per row: what decides how it goes.
create function contact_import_addresses(p_rows jsonb)
returns table (n integer, kind text, value text, normal boolean, trust smallint)
language sql immutable as $$
	select r.n::integer, a.kind, a.value, bool_or(a.normal), max(a.trust)
	from jsonb_array_elements(p_rows) with ordinality r(o, n),
		jsonb_to_recordset(r.o->'add')
			a(kind text, value text, normal boolean, trust smallint)
	group by 1, 2, 3
$$;

-- Everything a batch may touch, in the order in which everybody locks: addresses, then
-- contacts by id. OFFSET 0: one look into an index per address, whatever the planner makes
-- of tables that were empty a moment ago.
create function contact_import_lock(p_tenant integer, p_rows jsonb) returns void
language plpgsql as $$
declare
	v_kinds text[];
	v_values text[];
	v_normals boolean[];
	v_roots uuid[];
begin
	select array_agg(a.kind order by a.kind, a.value),
		array_agg(a.value order by a.kind, a.value),
		array_agg(a.normal order by a.kind, a.value)
	into v_kinds, v_values, v_normals
	from (select kind, value, bool_or(normal) as normal
		from contact_import_addresses(p_rows) group by 1, 2) a;
	insert into address (tenant_id, kind, value, normal)
	select p_tenant, u.kind, u.value, u.normal
	from unnest(v_kinds, v_values, v_normals) u(kind, value, normal)
	on conflict do nothing;
	perform 1 from unnest(v_kinds, v_values) u(kind, value) cross join lateral (
		select from address a where a.tenant_id = p_tenant and a.kind = u.kind
			and a.value = u.value offset 0 for no key update) l;
	v_roots := array(select distinct coalesce(c.merged_into, c.id)
		from unnest(v_kinds, v_values) u(kind, value)
		cross join lateral (select contact_id from identity i
			where i.tenant_id = p_tenant and i.kind = u.kind and i.value = u.value
			offset 0) i
		cross join lateral (select id, merged_into from contact h
			where h.tenant_id = p_tenant and h.id = i.contact_id offset 0) c);
	perform 1 from (select m.id from unnest(v_roots) r(root),
			contact_members(p_tenant, r.root) m(id) order by m.id) x
		cross join lateral (select from contact c where c.tenant_id = p_tenant
			and c.id = x.id offset 0 for no key update) l;
end $$;

-- Rows about whom nobody knows anything yet, and who share no address with another row:
-- all of them at once. Gives their numbers.
create function contact_import_fresh(p_tenant integer, p_actor text, p_rows jsonb)
returns integer[] language plpgsql as $$
declare
	v_n integer[];
	v_kinds text[];
	v_values text[];
	v_trusts smallint[];
	v_ids uuid[];
	v_fresh integer[];
	v_known integer[];
	v_doubled integer[];
	v_zones text[];
begin
	select array_agg(a.n), array_agg(a.kind), array_agg(a.value), array_agg(a.trust)
	into v_n, v_kinds, v_values, v_trusts
	from contact_import_addresses(p_rows) a;
	v_known := array(select a.n from unnest(v_n, v_kinds, v_values) a(n, kind, value)
		where exists (select from identity i where i.tenant_id = p_tenant
			and i.kind = a.kind and i.value = a.value offset 0));
	v_doubled := array(select unnest(array_agg(a.n))
		from unnest(v_n, v_kinds, v_values) a(n, kind, value)
		group by a.kind, a.value having count(*) > 1);
	v_zones := array(select z from (select distinct r->'set'->>'timezone' as z
			from jsonb_array_elements(p_rows) r) d
		where z is not null and timezone_is_known(z));
	v_fresh := array(
		select r.n::integer from jsonb_array_elements(p_rows) with ordinality r(o, n)
		where r.n <> all (v_known) and r.n <> all (v_doubled)
			and r.o->'organisation' is null
			and r.o->'set'->>'organisation' is null
			and (r.o->'set'->>'timezone' is null
				or r.o->'set'->>'timezone' = any (v_zones)));
	insert into contact (tenant_id, id, name, roles, language, timezone, vip,
		attributes)
	select p_tenant, (r.o->>'id')::uuid, r.o->'set'->>'name',
		case when r.o->'set' ? 'roles'
			then array(select jsonb_array_elements_text(r.o->'set'->'roles'))
			else '{}' end,
		r.o->'set'->>'language', r.o->'set'->>'timezone',
		coalesce((r.o->'set'->>'vip')::boolean, false),
		attributes_add('{}', coalesce(r.o->'set'->'attributes', '{}'))
	from jsonb_array_elements(p_rows) with ordinality r(o, n)
	where r.n = any (v_fresh);
	v_ids := array(select (r.o->>'id')::uuid
		from jsonb_array_elements(p_rows) with ordinality r(o, n) order by r.n);
	insert into identity (tenant_id, kind, value, contact_id, trust, source)
	select p_tenant, a.kind, a.value, v_ids[a.n], a.trust, p_actor
	from unnest(v_n, v_kinds, v_values, v_trusts) a(n, kind, value, trust)
	where a.n = any (v_fresh);
	return v_fresh;
end $$;

-- Whom a row means. An external id decides; else the address: of a contact that has it at
-- recorded or better, or of an unnamed one. Who has another external id of the same
-- namespace is somebody else. Null and no refusal: somebody new.
create function contact_import_find(p_tenant integer, p_name text, p_add jsonb,
	out contact uuid, out refusal text, out unnamed uuid[]) language plpgsql stable as $$
declare
	v_external uuid[];
	v_named uuid[];
	v_same uuid[];
	v_has_external boolean := p_add @> '[{"kind": "external"}]';
begin
	select array_agg(distinct h.root) filter (where h.kind = 'external'),
		array_agg(distinct h.root) filter (where h.kind <> 'external'
			and h.name is not null and h.trust > 0 and not h.clash),
		array_agg(distinct h.root) filter (where h.kind <> 'external'
			and h.name is not null and h.trust > 0 and not h.clash
			and h.name = p_name),
		array_agg(distinct h.root) filter (where h.kind <> 'external'
			and h.name is null and not h.clash)
	into v_external, v_named, v_same, unnamed
	from (select a.kind, i.trust, r.id as root, r.name,
			case when a.kind <> 'external' and v_has_external
				then contact_external_clash(p_tenant,
					'00000000-0000-0000-0000-000000000000', r.id, p_add)
				else false end as clash
		from jsonb_to_recordset(p_add) a(kind text, value text, normal boolean)
		cross join lateral (select contact_id, trust from identity
			where tenant_id = p_tenant and kind = a.kind and value = a.value
			offset 0) i
		cross join lateral (select coalesce(merged_into, id) as root from contact
			where tenant_id = p_tenant and id = i.contact_id offset 0) c
		cross join lateral (select id, name from contact
			where tenant_id = p_tenant and id = c.root offset 0) r
		where a.normal) h;
	if cardinality(v_external) > 1 then
		refusal := 'its external ids belong to different contacts: '
			|| array_to_string(v_external, ', ');
	elsif cardinality(v_external) = 1 then
		contact := v_external[1];
	elsif cardinality(v_named) = 1 then
		contact := v_named[1];
	elsif cardinality(v_same) = 1 then
		contact := v_same[1];
	elsif cardinality(v_named) > 1 and not v_has_external then
		refusal := 'several contacts have these addresses: '
			|| array_to_string(v_named[1:5], ', ');
	elsif v_named is null then
		contact := unnamed[1];
	end if;
end $$;

-- What of p_set differs from the contact; attributes are added to those there, null takes
-- one away.
create function contact_import_changes(p_contact contact, p_set jsonb) returns jsonb
language plpgsql stable as $$
declare
	v_now jsonb := to_jsonb(p_contact);
begin
	if p_set ? 'attributes' then
		p_set := jsonb_set(p_set, '{attributes}',
			attributes_add(p_contact.attributes, p_set->'attributes'));
	end if;
	return (select coalesce(jsonb_object_agg(s.key, s.value), '{}')
		from jsonb_each(p_set) s where s.value is distinct from v_now->s.key);
end $$;

create function contact_import_one(p_tenant integer, p_actor text, p_role text,
	p_row jsonb, out state text, out detail text, out contact uuid, out absorbed uuid[])
language plpgsql as $$
declare
	v_set jsonb := p_row->'set';
	v_add jsonb := p_row->'add';
	v_found record;
	v_organisation uuid[];
	v_contact contact;
	v_missing boolean;
begin
	state := 'rejected';
	absorbed := '{}';
	if v_set->>'timezone' is not null and not timezone_is_known(v_set->>'timezone') then
		detail := 'timezone: there is no such zone';
		return;
	end if;
	if p_row ? 'organisation' then
		v_organisation := array(select distinct contact_root(p_tenant, i.contact_id)
			from identity i where i.tenant_id = p_tenant and i.kind = 'external'
			and i.value = p_row->>'organisation');
	elsif v_set->>'organisation' is not null then
		v_organisation := array[contact_root(p_tenant,
			(v_set->>'organisation')::uuid)];
	end if;
	if v_organisation is not null then
		if cardinality(v_organisation) <> 1 or v_organisation[1] is null then
			detail := 'organisation: there is no such contact (yet)';
			return;
		end if;
		v_set := v_set || jsonb_build_object('organisation', v_organisation[1]);
	end if;
	select * into v_found from contact_import_find(p_tenant, v_set->>'name', v_add);
	if v_found.refusal is not null then
		detail := v_found.refusal;
		return;
	end if;
	contact := v_found.contact;
	if contact = v_organisation[1] then
		detail := 'organisation: must be another contact';
		return;
	end if;
	if contact is null then
		contact := (p_row->>'id')::uuid;
		insert into contact (tenant_id, id) values (p_tenant, contact);
		state := 'created';
	else
		state := 'unchanged';
	end if;
	select * into v_contact from contact c where c.tenant_id = p_tenant and c.id = contact;
	v_set := contact_import_changes(v_contact, v_set);
	if v_set <> '{}' then
		perform contact_set(p_tenant, contact, v_set);
	end if;
	v_missing := exists (
		select from jsonb_to_recordset(v_add)
			a(kind text, value text, trust smallint)
		where not exists (
			select from contact_members(p_tenant, contact) m(id),
			lateral (select from identity i where i.tenant_id = p_tenant
				and i.kind = a.kind and i.value = a.value
				and i.contact_id = m.id and i.trust >= a.trust offset 0) i
			offset 0));
	if v_missing or cardinality(array_remove(v_found.unnamed, contact)) > 0 then
		select a.absorbed into absorbed from contact_add_identities(p_tenant, p_actor,
			p_role, contact, v_add, true) a;
	end if;
	if state = 'unchanged'
		and (v_missing or v_set <> '{}' or cardinality(absorbed) > 0)
	then
		state := 'updated';
	end if;
end $$;

-- One batch. Rows of which one is said: n (from 1), state 'created', 'updated',
-- 'unchanged' or 'rejected' with the reason; the contact's object if p_objects. p_dry:
-- the same answers, and nothing is done.
create function contact_import(p_tenant integer, p_actor text, p_role text, p_rows jsonb,
	p_dry boolean, p_objects boolean)
returns table (n integer, state text, detail text, object text) language plpgsql as $$
declare
	v_fresh integer[];
	v_result jsonb := '[]';
	v_row record;
	v_one record;
begin
	begin
		perform contact_import_lock(p_tenant, p_rows);
		v_fresh := contact_import_fresh(p_tenant, p_actor, p_rows);
		v_result := (select coalesce(jsonb_agg(jsonb_build_object('n', f,
				'state', 'created', 'contact', p_rows->(f - 1)->>'id')), '[]')
			from unnest(v_fresh) f);
		for v_row in
			select r.o, r.n from jsonb_array_elements(p_rows)
				with ordinality r(o, n)
			where r.n <> all (v_fresh) order by r.n
		loop
			select * into v_one
			from contact_import_one(p_tenant, p_actor, p_role, v_row.o);
			v_result := v_result || (to_jsonb(v_one)
				|| jsonb_build_object('n', v_row.n));
		end loop;
		if p_dry then
			raise exception using errcode = 'ICDRY';
		end if;
	exception when sqlstate 'ICDRY' then
		null;
	end;
	return query select v.n, v.state, v.detail,
		case when p_objects and not p_dry and v.state in ('created', 'updated')
			then contact_json(p_tenant, v.contact, v.contact,
				coalesce(v.absorbed, '{}')) end
		from jsonb_to_recordset(v_result)
			v(n integer, state text, detail text, contact uuid, absorbed uuid[])
		order by v.n;
end $$;

-- What the company's own system says about an address that nobody named has. It never
-- overrides, and never joins two named contacts: state 'kept' then. p_new: the id that the
-- timeline's writer would give too. p_set: name, roles, language, timezone, vip,
-- attributes.
create function contact_lookup(p_tenant integer, p_kind text, p_value text, p_new uuid,
	p_set jsonb, p_external text, p_organisation text,
	out state text, out contact uuid, out json text) language plpgsql as $$
declare
	v_phone jsonb := jsonb_build_array(jsonb_build_object('kind', p_kind,
		'value', p_value, 'normal', true, 'trust', 1));
	v_external jsonb := case when p_external is null then '[]' else
		jsonb_build_array(jsonb_build_object('kind', 'external',
			'value', p_external, 'normal', true, 'trust', 1)) end;
	v_rows jsonb := jsonb_build_array(jsonb_build_object('add', v_phone || v_external));
	v_holders uuid[];
	v_owners uuid[];
	v_organisation uuid[];
	v_absorbed uuid[] := '{}';
	v record;
begin
	state := 'kept';
	perform contact_import_lock(p_tenant, v_rows);
	v_holders := array(select distinct contact_root(p_tenant, i.contact_id)
		from identity i where i.tenant_id = p_tenant and i.kind = p_kind
		and i.value = p_value);
	v_owners := array(select distinct contact_root(p_tenant, i.contact_id)
		from identity i where i.tenant_id = p_tenant and i.kind = 'external'
		and i.value = p_external);
	if cardinality(v_holders) > 1 or cardinality(v_owners) > 1 then
		return;
	end if;
	contact := v_holders[1];
	if exists (select from contact c where c.tenant_id = p_tenant and c.id = contact
		and c.name is not null) then
		return;
	end if;
	if contact is null and v_owners[1] is null then
		contact := p_new;
		insert into contact (tenant_id, id) values (p_tenant, contact)
		on conflict do nothing;
		state := 'created';
	elsif v_owners[1] is distinct from contact and v_owners[1] is not null then
		-- Somebody we know, calling from a number we did not.
		contact := v_owners[1];
	end if;
	select * into v from contact_add_identities(p_tenant, 'lookup', '', contact,
		v_phone || v_external, false);
	if v.conflict is not null then
		state := 'kept';
		return;
	end if;
	v_absorbed := v.absorbed;
	if not timezone_is_known(p_set->>'timezone') then
		p_set := p_set - 'timezone';
	end if;
	v_organisation := array(select distinct contact_root(p_tenant, i.contact_id)
		from identity i where i.tenant_id = p_tenant and i.kind = 'external'
		and i.value = p_organisation);
	update contact c set name = coalesce(c.name, p_set->>'name'),
		roles = case when c.roles = '{}' and p_set ? 'roles'
			then array(select jsonb_array_elements_text(p_set->'roles'))
			else c.roles end,
		language = coalesce(c.language, p_set->>'language'),
		timezone = coalesce(c.timezone, p_set->>'timezone'),
		vip = c.vip or coalesce((p_set->>'vip')::boolean, false),
		attributes = coalesce(p_set->'attributes', '{}') || c.attributes,
		organisation = coalesce(c.organisation, case
			when cardinality(v_organisation) = 1
			then nullif(v_organisation[1], c.id) end),
		updated_at = now()
	where c.tenant_id = p_tenant and c.id = contact;
	if state <> 'created' then
		state := 'updated';
	end if;
	perform audit_add(p_tenant, 'lookup', '', 'contact.' || state, 'contact',
		contact::text, array(select jsonb_object_keys(p_set)));
	json := contact_json(p_tenant, contact, contact, v_absorbed);
end $$;
