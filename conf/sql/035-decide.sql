-- what the gate wants to know besides: since when they say no, and what was sent to them

-- What these contacts deny, as wishes_list does, with the time of its entry in the ledger:
-- who wrote to us after that may be answered. What is denied for everything comes first and
-- then the newest, so that a list that is cut loses neither.
create function wishes_denied(p_tenant integer, p_members uuid[], p_max integer)
returns jsonb language sql stable as $$
	select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('kind', kind,
		'purpose', purpose, 'identity', identity_json(address_kind, address_value),
		'at', time_text(at)))
		order by kind, purpose, address_kind, address_value), '[]')
	from (select s.kind, s.purpose, s.address_kind, s.address_value, max(c.at) as at
		from wishes_said(p_tenant, p_members) s
		join wish w on w.tenant_id = p_tenant and w.contact_id = s.contact_id
			and w.kind = s.kind and w.purpose = s.purpose
			and w.address_kind = s.address_kind
			and w.address_value = s.address_value
		left join consent c on c.tenant_id = p_tenant and c.seq = w.own_seq
		where s.says = 'denied' and s.kind <> '*'
		group by 1, 2, 3, 4
		order by s.address_kind <> '', max(c.at) desc nulls first, 1, 2, 3, 4
		limit p_max) w
$$;

-- As 031 made it, and the denials of `wishes` say since when.
alter function gate_contact(integer, uuid) rename to gate_contact_base;
create function gate_contact(p_tenant integer, p_id uuid) returns jsonb
language plpgsql stable as $$
declare
	v jsonb := gate_contact_base(p_tenant, p_id);
begin
	if v->'wishes'->'denied' <> '[]' then
		v := jsonb_set(v, '{wishes,denied}', wishes_denied(p_tenant, array(
			select contact_members(p_tenant, (v->>'contact')::uuid)), 1000));
	end if;
	return v;
end $$;

-- What went to a contact from p_since to p_until, for caps on how often: [[kind, purpose,
-- microseconds], …], the newest first. An interaction has no purpose of its own: it is what
-- its `purpose` among the variables says, else service, as what staff do by hand mostly is.
-- A call that was never put through is none.
create function gate_history(p_tenant integer, p_id uuid, p_since timestamptz,
	p_until timestamptz) returns jsonb language sql stable as $$
	select coalesce(jsonb_agg(jsonb_build_array(
		case kind when 'call' then 'phone' else kind end, purpose, time_to_us(at))
		order by at desc), '[]')
	from (select t.kind, i.at, case when i.variables->>'purpose' = any (
			'{transactional,service,survey,marketing}')
			then i.variables->>'purpose' else 'service' end as purpose
		from contact_members(p_tenant, contact_root(p_tenant, p_id)) m(id)
		cross join lateral (select t.id, t.kind from timeline t
			where t.tenant_id = p_tenant and t.contact_id = m.id
				and t.id > uuid_floor(p_since) and t.id < uuid_floor(p_until)
				and t.direction = 'out'
				and t.kind = any ('{call,sms,email,chat,letter,fax}')
				and t.disposition is distinct from 'failed'
				and t.disposition is distinct from 'unreachable'
			order by t.id desc limit 256) t
		cross join lateral (select at, variables from interaction
			where tenant_id = p_tenant and id = t.id offset 0) i
		order by t.id desc limit 256) h
$$;
