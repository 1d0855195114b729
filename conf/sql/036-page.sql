-- compatible: yes
-- the customer's own page: links to it, and what was asked for there

-- A link is 16 random bytes; kept is their hash. contact_id: who it was made for, as they
-- were before any merge: of merged contacts the member that has the address the link is
-- sent to, so that it is still theirs after an unmerge. address_*: '' if it is for none.
create table customer_page (
	tenant_id integer not null,
	id uuid not null,
	hash bytea not null check (length(hash) = 32),
	contact_id uuid not null,
	address_kind text not null default '',
	address_value text not null default '',
	created_at timestamptz not null default now(),
	created_by text not null,
	expires_at timestamptz not null,
	revoked_at timestamptz,
	opened_at timestamptz,
	primary key (tenant_id, id),
	foreign key (tenant_id, contact_id) references contact
);
create unique index customer_page_hash on customer_page (hash, tenant_id);
create index customer_page_contact on customer_page (tenant_id, contact_id);

-- Who has asked to be erased, until it is done. One per contact.
create table erasure_request (
	tenant_id integer not null,
	contact_id uuid not null,
	at timestamptz not null default now(),
	interaction_id uuid not null,
	primary key (tenant_id, contact_id),
	foreign key (tenant_id, contact_id) references contact
);
create index erasure_request_at on erasure_request (tenant_id, at);

insert into privacy_place (name, relation, position, mine, at, how, what, kept) values
('page links', 'customer_page', 20, 't.tenant_id = $1 and t.contact_id = any ($2)',
	't.created_at', 'delete', null, '[outreach] page_ttl_s, and 30 days'),
('erasure requests', 'erasure_request', 20,
	't.tenant_id = $1 and t.contact_id = any ($2)', 't.at', 'delete', null,
	'until the contact is erased');

-- POST …/page. state: 'created', 'not_found', 'not_theirs', or idempotency_begin's. The
-- stored answer has no url: only its hash is kept anywhere.
create function customer_page_create(p_tenant integer, p_actor text, p_role text, p_id uuid,
	p_contact uuid, p_address_kind text, p_address_value text, p_hash_of_token bytea,
	p_ttl_s bigint, p_caller text, p_method text, p_path text, p_key text, p_hash bytea,
	out state text, out status integer, out json text) language plpgsql as $$
declare
	b record;
	c record;
	v_contact uuid;
	v_expires timestamptz := now() + p_ttl_s * interval '1 second';
begin
	select * into b from idempotency_begin(p_tenant, p_caller, p_method, p_path, p_key,
		p_hash);
	state := b.state;
	status := b.status;
	json := b.response;
	if state <> 'new' then
		return;
	end if;
	select * into c from contact_lock_members(p_tenant, p_contact);
	if c.root is null then
		state := 'not_found';
		return;
	end if;
	v_contact := p_contact;
	if p_address_kind <> '' then
		select i.contact_id into v_contact from identity i
		where i.tenant_id = p_tenant and i.kind = p_address_kind
			and i.value = p_address_value and i.contact_id = any (c.members)
		order by i.trust desc, i.first_seen limit 1;
		if v_contact is null then
			state := 'not_theirs';
			json := p_address_kind || ':' || p_address_value;
			return;
		end if;
	end if;
	delete from customer_page where tenant_id = p_tenant and contact_id = any (c.members)
		and expires_at < now() - interval '30 days';
	insert into customer_page (tenant_id, id, hash, contact_id, address_kind,
		address_value, created_by, expires_at)
	values (p_tenant, p_id, p_hash_of_token, v_contact, p_address_kind, p_address_value,
		p_actor, v_expires);
	perform audit_add(p_tenant, p_actor, p_role, 'page.created', 'contact', c.root::text,
		array[p_id::text]);
	state := 'created';
	status := 201;
	json := json_build_object('id', p_id, 'contact', c.root,
		'identity', identity_json(p_address_kind, p_address_value),
		'expires_at', time_text(v_expires));
	perform idempotency_end(p_tenant, p_caller, p_method, p_path, p_key, p_hash, status,
		json);
end $$;

-- Ends every link of a contact and of all it is merged with; null: no such contact.
create function customer_page_revoke(p_tenant integer, p_actor text, p_role text,
	p_contact uuid) returns integer language plpgsql as $$
declare
	c record;
	v_count integer;
begin
	select * into c from contact_lock_members(p_tenant, p_contact);
	if c.root is null then
		return null;
	end if;
	update customer_page set revoked_at = now()
	where tenant_id = p_tenant and contact_id = any (c.members) and revoked_at is null
		and expires_at > now();
	get diagnostics v_count = row_count;
	if v_count > 0 then
		perform audit_add(p_tenant, p_actor, p_role, 'page.revoked', 'contact',
			c.root::text, array[v_count::text]);
	end if;
	return v_count;
end $$;

-- Whether a link leads anywhere: it lasts, and who it was made for still has the address
-- it was sent to (numbers are given to others).
create function customer_page_lasts(p customer_page) returns boolean
language sql stable as $$
	select p.revoked_at is null and p.expires_at > now() and (p.address_kind = ''
		or exists (select from identity i where i.tenant_id = p.tenant_id
			and i.kind = p.address_kind and i.value = p.address_value
			and i.contact_id = p.contact_id))
$$;

-- What the page shows. Of the newest 10,000 interactions.
create function customer_page_json(p customer_page) returns json
language plpgsql stable as $$
declare
	v_root uuid := contact_root(p.tenant_id, p.contact_id);
	v_members uuid[] := array(select contact_members(p.tenant_id, v_root));
begin
	return (select json_build_object('id', p.id, 'contact', p.contact_id,
		'expires_at', time_text(p.expires_at),
		'identity', identity_json(p.address_kind, p.address_value),
		'name', c.name, 'language', c.language, 'timezone', c.timezone,
		'wishes', wishes_json(p.tenant_id, v_root),
		'identities', (select coalesce(json_agg(identity_json(i.kind, i.value)
				order by i.kind, i.value), '[]')
			from (select distinct i.kind, i.value from identity i
				where i.tenant_id = p.tenant_id
					and i.contact_id = any (v_members)
				order by 1, 2 limit 50) i),
		'held', (select coalesce(json_agg(json_build_object('kind', k.kind,
				'count', k.n, 'last', time_text(k.last)) order by k.last desc),
				'[]')
			from (select t.kind, count(*) as n, max(uuid_time(t.id)) as last
				from (select t.kind, t.id from timeline t
					where t.tenant_id = p.tenant_id
						and t.contact_id = any (v_members)
					order by t.id desc limit 10000) t
				group by t.kind) k),
		'erasure_requested_at', (select time_text(min(e.at)) from erasure_request e
			where e.tenant_id = p.tenant_id and e.contact_id = any (v_members)))
	from contact c where c.tenant_id = p.tenant_id and c.id = v_root);
end $$;

-- tenant: the token says whose it is, and only it does
create function customer_page_open(p_hash_of_token bytea, out tenant integer, out json text)
language plpgsql stable as $$
declare
	v customer_page;
begin
	-- tenant: as above
	select * into v from customer_page where hash = p_hash_of_token;
	tenant := v.tenant_id;
	json := case when customer_page_lasts(v) then customer_page_json(v)::text end;
end $$;

-- The customer asks to be erased: staff are told, by an entry of the timeline, an event and
-- the list of what is asked for. Nothing is erased here. json null: the link leads nowhere
-- any more; no events: it was asked for already.
create function customer_page_erasure(p_tenant integer, p_actor text, p_role text,
	p_page uuid, p_interaction uuid, p_at bigint, p_variables jsonb, p_event uuid,
	p_event_at bigint, out json text, out events jsonb) language plpgsql as $$
declare
	v customer_page;
	c record;
	i record;
begin
	events := '[]';
	select * into v from customer_page where tenant_id = p_tenant and id = p_page;
	select * into c from contact_lock_members(p_tenant, v.contact_id);
	if c.root is null or not customer_page_lasts(v) then
		return;
	end if;
	json := '{}';
	if exists (select from erasure_request e where e.tenant_id = p_tenant
		and e.contact_id = any (c.members)) then
		return;
	end if;
	select * into i from interaction_create(p_tenant, p_actor, p_role, p_interaction,
		v.contact_id, 'note', 'in', p_at,
		'The customer asks to be erased (by their own page).', null, p_variables,
		array['summary', 'variables'], null, null, null, null, null);
	insert into erasure_request (tenant_id, contact_id, interaction_id)
	values (p_tenant, v.contact_id, p_interaction);
	perform audit_add(p_tenant, p_actor, p_role, 'contact.erasure_requested', 'contact',
		c.root::text, array[p_interaction::text]);
	events := jsonb_build_array(
		jsonb_build_array('contact.erasure_requested', contact_json(p_tenant, c.root,
			c.root), jsonb_build_object('interaction', p_interaction)::text),
		jsonb_build_array('interaction.created', i.json, null));
	perform wishes_events(p_tenant, p_event, p_event_at, events);
end $$;

select report_protect();
-- What opens a page is nobody else's.
drop policy report on customer_page;
