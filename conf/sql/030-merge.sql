-- merges made and undone, suggestions for those nobody is sure of, and numbers that age

-- A merge is a row of contact_merge: the open ones make a forest (every contact is absorbed
-- at most once), and contact.merged_into is its flattened root. Undoing one takes out the
-- contact it absorbed with everything absorbed by that one, whatever was merged before or
-- after: each of them is what it was.
--
-- Locks, as everywhere: addresses, then contacts by id. A merge locks all members of both
-- sides, so that nobody's root changes under somebody who holds its row.

-- ---- Numbers age --------------------------------------------------------------------------

-- A number that proved somebody by calling, and was then unseen for this long, may have been
-- given to somebody else. It falls back to what our staff or the CRM said of it (recorded),
-- else it is a mere claim; nothing is rewritten for that, it is read so. When it calls again
-- after such a time and only calls had told whose it is, the caller is somebody new, the
-- earlier holder is shown beside them, and a merge is suggested. What was verified stays:
-- a person proved that, not a network. 0 = never.
alter table tenant add identity_age_days integer not null default 365
	check (identity_age_days between 0 and 36500);

create function identity_age(p_tenant integer) returns interval language sql stable as $$
	select make_interval(days => nullif(identity_age_days, 0)) from tenant
	where id = p_tenant
$$;

-- Our staff or another system said so: actors are KIND:NAME, channels are one word.
create function identity_is_recorded(p_source text) returns boolean
language sql immutable strict parallel safe
as $$ select position(':' in p_source) > 0 or p_source = 'lookup' $$;

create function identity_is_old(p_kind text, p_trust smallint, p_last_seen timestamptz,
	p_at timestamptz, p_age interval) returns boolean language sql stable parallel safe
as $$ select coalesce(p_trust = 2 and p_kind = 'phone' and p_last_seen < p_at - p_age, false) $$;

-- The trust it has at that time.
create function identity_trust(p_kind text, p_trust smallint, p_source text,
	p_last_seen timestamptz, p_at timestamptz, p_age interval) returns integer
language sql stable parallel safe as $$
	select case when identity_is_old(p_kind, p_trust, p_last_seen, p_at, p_age)
		then identity_is_recorded(p_source)::integer else p_trust end
$$;

-- ---- Reading ------------------------------------------------------------------------------

-- The name of a survivor that has none: the eldest one's that was merged into it.
create function contact_member_name(p_tenant integer, p_root uuid) returns text
language sql stable as $$
	select name from contact
	where tenant_id = p_tenant and merged_into = p_root and name is not null
	order by id limit 1
$$;

create function contact_is_named(p_tenant integer, p_root uuid) returns boolean
language sql stable as $$
	select exists (select from contact where tenant_id = p_tenant
			and id = p_root and name is not null)
		or contact_member_name(p_tenant, p_root) is not null
$$;

-- As in 023, with the trust of today, a survivor's name, and nobody as their own
-- organisation.
create or replace function contact_json(p_tenant integer, p_root uuid, p_asked uuid,
	p_absorbed uuid[] default '{}') returns text language plpgsql stable as $$
declare
	v_age interval := identity_age(p_tenant);
begin
	return (
	select left(o, -1)
		|| case when p_asked <> p_root
			then ', "merged_from" : ' || to_json(p_asked)::text else '' end
		|| case when cardinality(p_absorbed) > 0
			then ', "absorbed" : ' || to_json(p_absorbed)::text else '' end
		|| '}'
	from (select json_build_object('id', c.id,
		'name', coalesce(c.name, contact_member_name(p_tenant, p_root)),
		'roles', c.roles, 'language', c.language, 'timezone', c.timezone,
		'vip', c.vip, 'attributes', c.attributes,
		'organisation', nullif(contact_root(p_tenant, c.organisation), c.id),
		'identities', coalesce((
			select json_agg(json_build_object('kind', kind, 'value', value,
				'trust', trust_text(trust), 'source', source,
				'first_seen', time_text(first_seen),
				'last_seen', time_text(last_seen))
				order by trust desc, first_seen, kind, value)
			from (select kind, value, max(now_trust) as trust,
				(array_agg(source order by now_trust desc, first_seen))[1]
					as source,
				min(first_seen) as first_seen, max(last_seen) as last_seen
				from contact_members(p_tenant, p_root) m(id)
				cross join lateral (select *, identity_trust(kind, trust,
						source, last_seen, now(), v_age) as now_trust
					from identity
					where contact_id = m.id and tenant_id = p_tenant
					offset 0) held
				group by kind, value) i), '[]'),
		'created_at', time_text(c.created_at),
		'updated_at', time_text(c.updated_at))::text as o
	from contact c where c.tenant_id = p_tenant and c.id = p_root) x
	);
end $$;

-- One more member at the end of an object's text.
create function json_with(p_object text, p_name text, p_value json) returns text
language sql immutable parallel safe as $$
	select left(p_object, -1) || ', ' || to_json(p_name)::text || ' : ' || p_value::text
		|| '}'
$$;

-- ---- Locking ------------------------------------------------------------------------------

-- Locks these contacts with everything that is one with them, and tells their roots, in the
-- order given; null = there is no such contact. Who was merged while we waited is locked too.
create function contact_lock_trees(p_tenant integer, p_ids uuid[]) returns uuid[]
language plpgsql as $$
declare
	v_roots uuid[];
	v_before uuid[];
begin
	loop
		v_roots := array(select contact_root(p_tenant, u.id)
			from unnest(p_ids) with ordinality u(id, n) order by n);
		exit when v_roots = v_before;
		perform 1 from contact where tenant_id = p_tenant
			and (id = any (v_roots) or merged_into = any (v_roots))
		order by id for no key update;
		v_before := v_roots;
	end loop;
	return v_roots;
end $$;

-- ---- Suggestions --------------------------------------------------------------------------

-- Two contacts that may be one: a < b, each pair once and for all. It is shown while both
-- are nobody's part, so it vanishes when one of them is merged, and is back if that is undone.
-- evidence: [{kind, value, a: trust, b: trust}].
create table merge_suggestion (
	tenant_id integer not null,
	id uuid not null,
	a uuid not null,
	b uuid not null check (b > a),
	reason text not null check (reason in
		('claimed_address', 'earlier_holder', 'same_name')),
	evidence jsonb not null,
	state text not null default 'open' check (state in ('open', 'accepted', 'rejected')),
	made_at timestamptz not null default now(),
	decided_at timestamptz,
	decided_by text,
	primary key (tenant_id, id),
	foreign key (tenant_id, a) references contact on delete cascade,
	foreign key (tenant_id, b) references contact on delete cascade
);
create unique index merge_suggestion_pair on merge_suggestion (tenant_id, a, b);
create index merge_suggestion_b on merge_suggestion (tenant_id, b);
create index merge_suggestion_open on merge_suggestion (tenant_id, id) where state = 'open';

-- A UUIDv7 of now.
create function uuid_now() returns uuid language sql volatile as $$
	select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
		|| '7' || substr(r, 14, 3) || '8' || substr(r, 18, 15))::uuid
	from (select replace(gen_random_uuid()::text, '-', '') as r) x
$$;

-- Names that people would call the same.
create function name_key(p_name text) returns text language sql immutable parallel safe as $$
	select nullif(regexp_replace(lower(normalize(p_name, nfkc) collate "und-x-icu"),
		'[[:space:][:punct:]]+', '', 'g'), '')
$$;

-- Somebody said that these two are not one: of any two of their members, a suggestion was
-- rejected, or a merge undone.
create function contact_kept_apart(p_tenant integer, p_one uuid, p_other uuid) returns boolean
language plpgsql stable as $$
declare
	v_one uuid[] := array(select contact_members(p_tenant, p_one));
	v_other uuid[] := array(select contact_members(p_tenant, p_other));
begin
	return exists (select from merge_suggestion s where s.tenant_id = p_tenant
			and s.state = 'rejected'
			and ((s.a = any (v_one) and s.b = any (v_other))
			or (s.a = any (v_other) and s.b = any (v_one))))
		or exists (select from contact_merge m where m.tenant_id = p_tenant
			and m.undone_at is not null
			and ((m.survivor = any (v_one) and m.absorbed = any (v_other))
			or (m.survivor = any (v_other) and m.absorbed = any (v_one))));
end $$;

-- Who else has a contact's addresses (p_addresses: only these, [{kind, value}]; at most 50
-- are looked at), and what speaks for their being one. p_root and its holders are locked.
create function contact_suggest(p_tenant integer, p_root uuid, p_addresses jsonb default null)
returns void language plpgsql as $$
declare
	v_age interval := identity_age(p_tenant);
	v_name text;
	v record;
begin
	select name_key(coalesce(c.name, contact_member_name(p_tenant, p_root))) into v_name
	from contact c where c.tenant_id = p_tenant and c.id = p_root;
	for v in
		with mine as (
			select i.kind, i.value, max(i.now_trust) as trust
			from contact_members(p_tenant, p_root) m(id)
			cross join lateral (select kind, value, identity_trust(kind, trust,
					source, last_seen, now(), v_age) as now_trust
				from identity
				where contact_id = m.id and tenant_id = p_tenant offset 0) i
			where p_addresses is null or exists (
				select from jsonb_to_recordset(p_addresses)
					a(kind text, value text)
				where a.kind = i.kind and a.value = i.value)
			group by 1, 2 limit 50),
		held as (
			select mine.kind, mine.value, mine.trust as mine, r.root,
				max(h.now_trust) as trust, bool_or(h.old) as old
			from mine
			cross join lateral (select normal from address where tenant_id = p_tenant
				and kind = mine.kind and value = mine.value offset 0) a
			cross join lateral (select contact_id, identity_trust(kind, trust,
					source, last_seen, now(), v_age) as now_trust,
					identity_is_old(kind, trust, last_seen, now(), v_age)
						as old
				from identity where tenant_id = p_tenant
					and kind = mine.kind and value = mine.value limit 20) h
			cross join lateral (select coalesce(merged_into, id) as root from contact
				where tenant_id = p_tenant and id = h.contact_id offset 0) r
			where a.normal and r.root <> p_root
			group by 1, 2, 3, 4)
		select root, jsonb_agg(jsonb_build_object('kind', kind, 'value', value,
				'mine', trust_text(mine), 'other', trust_text(trust))
				order by kind, value) as evidence,
			min(case when (mine = 0) <> (trust = 0) then
				case when old then 'earlier_holder' else 'claimed_address' end
				when mine > 0 and trust > 0 and v_name = (
					select name_key(coalesce(c.name,
						contact_member_name(p_tenant, c.id)))
					from contact c
					where c.tenant_id = p_tenant and c.id = root)
				then 'same_name' end) as reason
		from held group by root limit 10
	loop
		continue when v.reason is null
			or contact_external_clash(p_tenant, p_root, v.root, '[]')
			or contact_kept_apart(p_tenant, p_root, v.root);
		insert into merge_suggestion (tenant_id, id, a, b, reason, evidence)
		select p_tenant, uuid_now(), least(p_root, v.root), greatest(p_root, v.root),
			v.reason, (select jsonb_agg(jsonb_build_object('kind', e->'kind',
				'value', e->'value',
				'a', e->case when p_root < v.root then 'mine' else 'other' end,
				'b', e->case when p_root < v.root then 'other' else 'mine' end))
				from jsonb_array_elements(v.evidence) e)
		on conflict (tenant_id, a, b) do nothing;
	end loop;
end $$;

-- Who stays, unless somebody says otherwise: the one with a name, else the elder.
create function suggestion_survivor(p_tenant integer, p_a uuid, p_b uuid) returns uuid
language sql stable as $$
	select c.id from contact c where c.tenant_id = p_tenant and c.id in (p_a, p_b)
	order by contact_is_named(p_tenant, c.id) desc, c.created_at, c.id limit 1
$$;

-- The object of openapi.json.
create function suggestion_json(s merge_suggestion) returns text language sql stable as $$
	select json_build_object('id', s.id, 'state', s.state, 'reason', s.reason,
		'evidence', coalesce((select json_agg(json_build_object('kind', e->'kind',
			'value', e->'value', 'trust', json_build_array(e->'a', e->'b')))
			from jsonb_array_elements(s.evidence) e), '[]'),
		'contacts', json_build_array(
			contact_json(s.tenant_id, contact_root(s.tenant_id, s.a), s.a)::json,
			contact_json(s.tenant_id, contact_root(s.tenant_id, s.b), s.b)::json),
		'survivor', suggestion_survivor(s.tenant_id, s.a, s.b),
		'made_at', time_text(s.made_at), 'decided_at', time_text(s.decided_at),
		'decided_by', s.decided_by)::text
$$;

-- ---- Merging ------------------------------------------------------------------------------

-- By hand. state: 'merged' with json = the survivor and what it absorbed; 'already', the same
-- without; 'reversed': p_id is part of p_from, json = the survivor's id; 'itself',
-- 'not_found', 'no_from'; 'clash': they have different external ids (p_force merges them).
create function contact_merge_make(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_from uuid, p_force boolean, p_evidence jsonb,
	out state text, out json text) language plpgsql as $$
declare
	v uuid[] := contact_lock_trees(p_tenant, array[p_id, p_from]);
begin
	if v[1] is null then
		state := 'not_found';
	elsif v[2] is null then
		state := 'no_from';
	elsif p_id = p_from then
		state := 'itself';
	elsif v[1] = v[2] and p_from = v[1] then
		state := 'reversed';
		json := v[1];
	elsif v[1] = v[2] then
		state := 'already';
		json := contact_json(p_tenant, v[1], p_id);
	elsif not p_force and contact_external_clash(p_tenant, v[1], v[2], '[]') then
		state := 'clash';
	else
		perform contact_absorb(p_tenant, v[1], v[2], p_evidence, p_actor, p_role);
		state := 'merged';
		json := contact_json(p_tenant, v[1], p_id, array[v[2]]);
	end if;
end $$;

-- Takes p_member out again, with what was merged into it. state: 'released' with json = the
-- contact that it was part of and "released"; 'already' (was taken out before), the same
-- without; 'survivor': p_member is what the others were merged into; 'elsewhere': json = the
-- contact it is part of; 'apart': the two never were one; 'not_found', 'no_member'.
create function contact_merge_undo(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_member uuid, out state text, out json text) language plpgsql as $$
declare
	v uuid[] := contact_lock_trees(p_tenant, array[p_id, p_member]);
	v_asked uuid;
begin
	if v[1] is null then
		state := 'not_found';
	elsif v[2] is null then
		state := 'no_member';
	elsif p_member = v[2] and v[1] = v[2] then
		state := 'survivor';
	elsif p_member = v[2] then
		state := case when exists (select from contact_merge m
				where m.tenant_id = p_tenant and m.absorbed = p_member
				and m.survivor in (select contact_members(p_tenant, v[1])))
			then 'already' else 'apart' end;
		json := contact_json(p_tenant, v[1], p_id);
	elsif v[1] <> v[2] then
		state := 'elsewhere';
		json := v[2];
	else
		update contact_merge set undone_at = now(), undone_by = p_actor
		where tenant_id = p_tenant and absorbed = p_member and undone_at is null;
		with recursive below(id) as (
			select p_member
			union all
			select m.absorbed from below b join contact_merge m
				on m.tenant_id = p_tenant and m.survivor = b.id
				and m.undone_at is null)
		update contact c set merged_into = nullif(p_member, c.id), updated_at = now()
		from below where c.tenant_id = p_tenant and c.id = below.id;
		perform audit_add(p_tenant, p_actor, p_role, 'contact.unmerged', 'contact',
			v[1]::text, array[p_member::text]);
		state := 'released';
		v_asked := case when contact_root(p_tenant, p_id) = v[1] then p_id else v[1] end;
		json := json_with(contact_json(p_tenant, v[1], v_asked), 'released',
			json_build_array(p_member));
	end if;
end $$;

-- p_survivor: one of the two, or null. state: contact_merge_make's, or 'not_found',
-- 'rejected' (before), 'gone' (one of them is part of another by now), 'no_survivor'.
create function suggestion_accept(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_survivor uuid, p_force boolean, out state text, out json text) language plpgsql as $$
declare
	s merge_suggestion;
	v uuid[];
	v_survivor uuid;
begin
	select * into s from merge_suggestion where tenant_id = p_tenant and id = p_id;
	if not found then
		state := 'not_found';
		return;
	end if;
	v := contact_lock_trees(p_tenant, array[s.a, s.b]);
	select * into s from merge_suggestion where tenant_id = p_tenant and id = p_id
	for update;
	v_survivor := coalesce(p_survivor, suggestion_survivor(p_tenant, s.a, s.b));
	if v_survivor not in (s.a, s.b) then
		state := 'no_survivor';
	elsif v[1] = v[2] then
		state := 'already';
		json := contact_json(p_tenant, v[1], v[1]);
	elsif s.state = 'rejected' then
		state := 'rejected';
	elsif v[1] <> s.a or v[2] <> s.b then
		state := 'gone';
	else
		select m.state, m.json into state, json from contact_merge_make(p_tenant, p_actor,
			p_role, v_survivor, case v_survivor when s.a then s.b else s.a end, p_force,
			jsonb_build_object('suggestion', s.id, 'reason', s.reason,
				'addresses', s.evidence)) m;
	end if;
	if state in ('merged', 'already') then
		update merge_suggestion set state = 'accepted', decided_at = now(),
			decided_by = p_actor
		where tenant_id = p_tenant and id = p_id and merge_suggestion.state = 'open';
	end if;
end $$;

-- state: 'rejected' with json = the suggestion, also when it was before; 'accepted': it was,
-- and the two are one; 'not_found'.
create function suggestion_reject(p_tenant integer, p_actor text, p_role text, p_id uuid,
	out state text, out json text) language plpgsql as $$
declare
	s merge_suggestion;
begin
	select * into s from merge_suggestion where tenant_id = p_tenant and id = p_id for update;
	if not found then
		state := 'not_found';
		return;
	end if;
	if s.state = 'accepted'
		and contact_root(p_tenant, s.a) = contact_root(p_tenant, s.b) then
		state := 'accepted';
		return;
	end if;
	if s.state <> 'rejected' then
		update merge_suggestion x set state = 'rejected', decided_at = now(),
			decided_by = p_actor
		where x.tenant_id = p_tenant and x.id = p_id returning * into s;
		perform audit_add(p_tenant, p_actor, p_role, 'merge_suggestion.rejected',
			'merge_suggestion', p_id::text, array[s.a::text, s.b::text]);
	end if;
	state := 'rejected';
	json := suggestion_json(s);
end $$;

-- ---- Addresses ----------------------------------------------------------------------------

-- As in 023, but: p_contact may be a merged one, which the addresses are then given to; the
-- rest is asked of the whole it is part of. An unnamed holder is absorbed only if neither
-- side merely claims the address: else the merge is suggested. linked: what the whole did not
-- have before, [{kind, value, trust}].
drop function contact_add_identities(integer, text, text, uuid, jsonb, boolean);
create function contact_add_identities(p_tenant integer, p_actor text, p_role text,
	p_contact uuid, p_addresses jsonb, p_shared boolean,
	out conflict uuid, out absorbed uuid[], out linked jsonb) language plpgsql as $$
declare
	v_age interval := identity_age(p_tenant);
	v_root uuid;
	v_holders uuid[];
	v_before uuid[];
	v_absorbed uuid[] := '{}';	-- with what was merged into them
	v record;
begin
	absorbed := '{}';
	linked := '[]';
	loop
		v_root := contact_root(p_tenant, p_contact);
		v_holders := array(select distinct c.root
			from jsonb_to_recordset(p_addresses) a(kind text, value text)
			cross join lateral (select contact_id from identity i
				where i.tenant_id = p_tenant and i.kind = a.kind
					and i.value = a.value offset 0) i
			cross join lateral (select coalesce(merged_into, id) as root from contact
				where tenant_id = p_tenant and id = i.contact_id offset 0) c
			where c.root <> v_root order by 1);
		exit when v_root || v_holders = v_before;
		perform 1 from contact where tenant_id = p_tenant and (id = v_root
			or id = any (v_holders) or merged_into = any (v_root || v_holders))
		order by id for no key update;
		v_before := v_root || v_holders;
	end loop;
	for v in select h.id, contact_is_named(p_tenant, h.id)
			or contact_external_clash(p_tenant, v_root, h.id, p_addresses) as other,
			exists (select from jsonb_to_recordset(p_addresses)
					a(kind text, value text, trust smallint),
				lateral (select from identity i where i.tenant_id = p_tenant
					and i.kind = a.kind and i.value = a.value
					and identity_trust(i.kind, i.trust, i.source,
						i.last_seen, now(), v_age) > 0
					and contact_root(p_tenant, i.contact_id) = h.id
					offset 0) i
				where a.trust > 0) as proved
		from unnest(v_holders) h(id)
	loop
		if v.other and not p_shared then
			conflict := v.id;
			absorbed := '{}';
			return;
		elsif not v.other and v.proved then
			absorbed := absorbed || v.id;
		end if;
	end loop;
	for v in select unnest(absorbed) as id loop
		v_absorbed := v_absorbed || array(select contact_members(p_tenant, v.id));
		perform contact_absorb(p_tenant, v_root, v.id,
			jsonb_build_object('addresses', (select jsonb_agg(distinct
				jsonb_build_object('kind', i.kind, 'value', i.value))
				from jsonb_to_recordset(p_addresses) a(kind text, value text)
				join identity i on i.tenant_id = p_tenant and i.kind = a.kind
					and i.value = a.value
				where i.contact_id in (select contact_members(p_tenant, v.id)))),
			p_actor, p_role);
	end loop;
	linked := (select coalesce(jsonb_agg(jsonb_build_object('kind', a.kind, 'value', a.value,
			'trust', trust_text(a.trust)) order by a.kind, a.value), '[]')
		from (select kind, value, max(trust) as trust from jsonb_to_recordset(p_addresses)
			x(kind text, value text, trust smallint) group by 1, 2) a
		where not exists (
			select from contact_members(p_tenant, v_root) m(id),
			lateral (select from identity i where i.tenant_id = p_tenant
				and i.kind = a.kind and i.value = a.value and i.contact_id = m.id
				and m.id <> all (v_absorbed) offset 0) i
			offset 0));
	-- What a member holds at that trust or better is not doubled: undoing the merge
	-- takes it away again. That our staff say so too outlives the number's age.
	update identity i set source = p_actor
	from (select a.kind, a.value, m.id from jsonb_to_recordset(p_addresses)
			a(kind text, value text, trust smallint),
			contact_members(p_tenant, v_root) m(id)
		where a.trust > 0) u
	where i.tenant_id = p_tenant and i.kind = u.kind and i.value = u.value
		and i.contact_id = u.id and i.trust = 2 and not identity_is_recorded(i.source);
	insert into identity (tenant_id, kind, value, contact_id, trust, source)
	select distinct on (a.kind, a.value) p_tenant, a.kind, a.value, p_contact, a.trust,
		p_actor
	from jsonb_to_recordset(p_addresses)
		a(kind text, value text, trust smallint)
	where not exists (
		select from contact_members(p_tenant, v_root) m(id),
		lateral (select from identity i where i.tenant_id = p_tenant
			and i.kind = a.kind and i.value = a.value and i.contact_id = m.id
			and identity_trust(i.kind, i.trust, i.source, i.last_seen, now(), v_age)
				>= a.trust offset 0) i
		offset 0)
	order by a.kind, a.value, a.trust desc
	on conflict (tenant_id, kind, value, contact_id) do update
	set trust = excluded.trust, source = excluded.source,
		last_seen = case when excluded.trust >= 2 then now() else identity.last_seen end;
	if cardinality(v_holders) > cardinality(absorbed) then
		perform contact_suggest(p_tenant, v_root, p_addresses);
	end if;
end $$;

-- As in 002; the addresses are given to the very contact that was named, the rest is set on
-- what it is part of. json has "linked": the addresses that were added.
create or replace function contact_patch(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_set jsonb, p_addresses jsonb, p_remove jsonb, p_shared boolean, p_fields text[],
	out state text, out json text) language plpgsql as $$
declare
	v record;
	v_root uuid;
begin
	perform address_lock(p_tenant, p_addresses || p_remove);
	v_root := contact_root(p_tenant, p_id);
	if v_root is null then
		state := 'not_found';
		return;
	end if;
	if not contact_set_is_valid(p_tenant, p_set)
		or contact_root(p_tenant, (p_set->>'organisation')::uuid) = v_root then
		state := 'no_organisation';
		return;
	end if;
	select * into v from contact_add_identities(p_tenant, p_actor, p_role, p_id,
		p_addresses, p_shared);
	if v.conflict is not null then
		state := 'conflict';
		json := v.conflict;
		return;
	end if;
	-- all are locked now, in the one order; a merge may have come before us
	v_root := contact_root(p_tenant, p_id);
	delete from identity i using jsonb_to_recordset(p_remove) r(kind text, value text)
	where i.tenant_id = p_tenant and i.kind = r.kind and i.value = r.value
		and i.contact_id in (select contact_members(p_tenant, v_root));
	perform contact_set(p_tenant, v_root, p_set);
	if p_set ? 'name' then
		perform contact_suggest(p_tenant, v_root);
	end if;
	perform audit_add(p_tenant, p_actor, p_role, 'contact.updated', 'contact',
		v_root::text, p_fields);
	state := 'ok';
	json := contact_json(p_tenant, v_root, p_id, v.absorbed);
	if v.linked <> '[]' then
		json := json_with(json, 'linked', v.linked::json);
	end if;
end $$;

-- For channels: a contact (the one behind a chat, say) turned out to have an address, with
-- this trust. Verified or network evidence makes it one with the only contact that has the
-- address at recorded or better, unless both have names and those differ (then it must be
-- verified), their external ids differ, or somebody kept the two apart; what it does not
-- make one is suggested. state: 'linked', 'merged', 'known' (nothing new), 'not_found'.
-- json: the resolved contact, with "linked" and "absorbed".
create function contact_link(p_tenant integer, p_actor text, p_role text, p_contact uuid,
	p_kind text, p_value text, p_normal boolean, p_trust integer, p_evidence jsonb,
	out state text, out json text) language plpgsql as $$
declare
	v_age interval := identity_age(p_tenant);
	v_address jsonb := jsonb_build_array(jsonb_build_object('kind', p_kind,
		'value', p_value, 'normal', p_normal));
	v_holders uuid[];
	v uuid[];
	v_had integer;
	v_absorbed uuid[] := '{}';
begin
	perform address_lock(p_tenant, v_address);
	v_holders := array(select contact_id from identity where tenant_id = p_tenant
		and kind = p_kind and value = p_value order by contact_id limit 100);
	v := contact_lock_trees(p_tenant, p_contact || v_holders);
	if v[1] is null then
		state := 'not_found';
		return;
	end if;
	select max(i.trust) into v_had from (
		select identity_trust(kind, trust, source, last_seen, now(), v_age) as trust,
			contact_root(p_tenant, contact_id) as root
		from identity where tenant_id = p_tenant and kind = p_kind and value = p_value) i
	where i.root = v[1];
	if coalesce(v_had, -1) < p_trust then
		insert into identity (tenant_id, kind, value, contact_id, trust, source)
		values (p_tenant, p_kind, p_value, p_contact, p_trust, p_actor)
		on conflict (tenant_id, kind, value, contact_id) do update
		set trust = excluded.trust, source = excluded.source, last_seen = now();
		perform audit_add(p_tenant, p_actor, p_role, 'contact.linked', 'contact',
			v[1]::text, array[p_kind]);
	end if;
	v_holders := array(select distinct i.root from (
		select identity_trust(kind, trust, source, last_seen, now(), v_age) as trust,
			contact_root(p_tenant, contact_id) as root
		from identity where tenant_id = p_tenant and kind = p_kind and value = p_value) i
		where i.trust > 0 and i.root <> v[1]);
	if p_trust >= 2 and p_normal and cardinality(v_holders) = 1
		and contact_may_join(p_tenant, v[1], v_holders[1], p_trust) then
		v := array(select c.id from contact c where c.tenant_id = p_tenant
			and c.id in (v[1], v_holders[1])
			order by contact_is_named(p_tenant, c.id) desc, c.created_at, c.id);
		perform contact_absorb(p_tenant, v[1], v[2], p_evidence, p_actor, p_role);
		v_absorbed := array[v[2]];
	else
		perform contact_suggest(p_tenant, v[1], v_address);
	end if;
	state := case when cardinality(v_absorbed) > 0 then 'merged'
		when coalesce(v_had, -1) < p_trust then 'linked' else 'known' end;
	json := contact_json(p_tenant, v[1], p_contact, v_absorbed);
	if coalesce(v_had, -1) < p_trust then
		json := json_with(json, 'linked', jsonb_build_array(jsonb_build_object('kind',
			p_kind, 'value', p_value, 'trust', trust_text(p_trust)))::json);
	end if;
end $$;

-- Whether two contacts that verified or network evidence says are one may be made one
-- without asking anybody.
create function contact_may_join(p_tenant integer, p_one uuid, p_other uuid, p_trust integer)
returns boolean language sql stable as $$
	select not contact_external_clash(p_tenant, p_one, p_other, '[]')
		and not contact_kept_apart(p_tenant, p_one, p_other)
		and (p_trust = 3 or count(distinct name_key(coalesce(name,
			contact_member_name(p_tenant, id)))) < 2)
	from contact where tenant_id = p_tenant and id in (p_one, p_other)
$$;

-- ---- Events -------------------------------------------------------------------------------

-- As in 022, for what a contact's object says came of a change: the change itself (p_type;
-- null = none; the texts are those of publish.c), contact.merged for each of "absorbed", contact.linked if there is "linked".
-- Nothing for a change that was not made.
create or replace function contact_events(p_tenant integer, p_id uuid, p_at bigint,
	p_state text, p_type text, p_object text, p_changes text) returns integer
language plpgsql as $$
begin
	if p_id is null or p_state not in ('created', 'ok', 'merged', 'released', 'linked') then
		return 0;
	end if;
	return (select events_keep(array_agg(p_tenant order by n),
			array_agg(event_nth(p_id, n::integer) order by n),
			array_agg(e.type order by n), array_agg(p_at order by n),
			array_agg(p_object order by n), array_agg(e.changes order by n))
		from (select 0 as n, p_type as type, p_changes as changes
			where p_type is not null
			union all
			select a.n, 'contact.merged', '{"absorbed":"' || a.id || '"}'
			from jsonb_array_elements_text(coalesce(p_object::jsonb->'absorbed',
				'[]')) with ordinality a(id, n)
			union all
			select 1 + jsonb_array_length(coalesce(p_object::jsonb->'absorbed', '[]')),
				'contact.linked',
				'{"linked":' || (p_object::jsonb->'linked')::text || '}'
			where p_object::jsonb ? 'linked') e);
end $$;

-- ---- The writer ---------------------------------------------------------------------------

-- interactions_save_find of 003 with the trust that an address has at the time of the event.
-- strong: how many resolved contacts hold the address at recorded or better; two or more
-- share it, and it identifies nobody. With one, or with one that merely claims it, it is the
-- member whose address it is. Several that claim it and nobody who proved it: an unnamed one,
-- never a named. None of these: a new contact, the same for all units of the batch with that
-- address. Who only had it long ago does not count, but for an event that is itself a claim.
drop function interactions_save_find(integer[], text[], text[], uuid[], uuid[], boolean[]);
create function interactions_save_whose(a_tenant integer[], a_kind text[], a_value text[],
	a_trust integer[], a_at bigint[], a_new uuid[], a_contact uuid[], a_ask boolean[],
	out contacts uuid[], out fresh boolean[]) language plpgsql as $$
#variable_conflict use_column
begin
	with held as (
		select w.*, i.contact_id, i.first_seen, coalesce(c.merged_into, c.id) as root,
			coalesce(r.name, c.name) as name,
			identity_trust(i.kind, i.trust, i.source, i.last_seen,
				us_to_time(w.at), g.age) as trust
		from (select tenant, kind, value, trust > 0 as proved, max(at) as at
			from unnest(a_tenant, a_kind, a_value, a_trust, a_at, a_ask)
				u(tenant, kind, value, trust, at, ask)
			where ask group by 1, 2, 3, 4) w
		left join (select id, make_interval(days => nullif(identity_age_days, 0)) as age
			from tenant where id = any (a_tenant)) g on g.id = w.tenant
		join identity i on i.tenant_id = w.tenant and i.kind = w.kind
			and i.value = w.value
		join contact c on c.tenant_id = i.tenant_id and c.id = i.contact_id
		left join contact r on r.tenant_id = c.tenant_id and r.id = c.merged_into
		where not (w.proved and identity_is_old(i.kind, i.trust, i.last_seen,
				us_to_time(w.at), g.age)
			and not identity_is_recorded(i.source))),
	holder as (
		select tenant, kind, value, proved, strong, case
			when strong > 1 then null
			when strong = 1 or total = 1 then best
			else unnamed end as member
		from (select tenant, kind, value, proved,
				count(distinct root) filter (where trust >= 1) as strong,
				count(distinct root) as total,
				(array_agg(contact_id order by trust desc, first_seen,
					contact_id))[1] as best,
				(array_agg(contact_id order by first_seen, contact_id)
					filter (where name is null))[1] as unnamed
			from held group by tenant, kind, value, proved) h),
	found as (
		select u.*, h.member,
			ask and h.member is null and coalesce(h.strong, 0) < 2 as fresh
		from unnest(a_tenant, a_kind, a_value, a_trust, a_new, a_contact, a_ask)
			with ordinality u(tenant, kind, value, trust, new, c, ask, n)
		left join holder h on u.ask and h.value = u.value and h.kind = u.kind
			and h.tenant = u.tenant and h.proved = (u.trust > 0))
	select array_agg(case when fresh then made else coalesce(c, member) end order by n),
		array_agg(fresh order by n)
	into contacts, fresh
	from (select n, c, member, fresh, first_value(coalesce(new, gen_random_uuid()))
			over (partition by tenant, kind, value order by not fresh, n) as made
		from found) f;
end $$;

-- As in 024, but whoever is new on an address that somebody had before is suggested to be
-- one with them.
create or replace function interactions_save_rare(a_tenant integer[], a_id uuid[], a_absorbed uuid[],
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
		from interactions_save_whose(a_tenant, a_remote_kind, a_remote_value, a_trust,
			a_at, a_new_contact, contacts, v_ask) f;
		perform interactions_save_fresh(a_tenant, a_remote_kind, a_remote_value,
			a_trust, a_channel, a_at, contacts, fresh);
		perform contact_suggest(tenant, contact)
		from (select distinct tenant, contact
			from unnest(a_tenant, a_remote_kind, a_remote_value, contacts, fresh)
				u(tenant, kind, value, contact, made)
			where made and exists (select from identity i
				where i.tenant_id = u.tenant and i.kind = u.kind
					and i.value = u.value
					and i.contact_id <> u.contact offset 0)) n;
	end if;
	roots := interactions_save_lock(a_tenant, contacts);
end $$;

-- As in 024, but a number that is too old to prove anybody does not say who calls from it.
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
	with aging as materialized (
		select id, make_interval(days => nullif(identity_age_days, 0)) as age
		from tenant where id = any (a_tenant)),
	given as materialized (
		select u.*, x.id is not null as absorbed, h.*,
			coalesce(c, case when h.holders = 1 then h.holder end) as contact,
			ask and h.holders <> 1 as unfound
		from (select tenant, id, rkind, rvalue, trust, at, c, n,
				c is null and not none and gone is null and rvalue is not null
					as ask,
				gone is not null or (external is not null and kind <> 'call')
					as rare
			from unnest(a_tenant, a_id, a_absorbed, a_kind, a_external,
				a_remote_kind, a_remote_value, a_trust, a_at, a_contact,
				a_no_contact)
				with ordinality u(tenant, id, gone, kind, external, rkind,
				rvalue, trust, at, c, none, n)) u
		left join aging g on g.id = u.tenant
		left join absorbed x on x.tenant_id = u.tenant and x.id = u.id
		left join lateral (
			select count(*) as holders, (array_agg(i.contact_id))[1] as holder
			from identity i
			where i.tenant_id = u.tenant and i.kind = u.rkind
				and i.value = u.rvalue
				and not (u.trust > 0 and identity_is_old(i.kind, i.trust,
					i.last_seen, us_to_time(u.at), g.age)
					and not identity_is_recorded(i.source))) h on u.ask),
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
			and i.contact_id = u.contact
			-- what is merely claimed does not keep a number young
			and (u.trust > 0 or i.trust <> 2)
			and (i.trust < u.trust
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
