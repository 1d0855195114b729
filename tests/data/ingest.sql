-- One interaction through the writer's function, as tests call it: from an address, at a
-- time (microseconds), under ids of the caller's choice. Returns the resolved contact.
create function test_ingest(p_tenant integer, p_id uuid, p_kind text, p_value text,
	p_trust integer, p_at bigint, p_new uuid) returns uuid language sql as $$
	select contact from interactions_save(array[p_tenant], array[p_id], array[null]::uuid[],
		array['call'], array['in'], array['pbx'], array[null]::text[], array['ended'],
		array[null]::text[], array[null]::text[], array[p_kind], array[p_value],
		array[true], array[null]::text[], array[false], array[p_trust],
		array[null]::text[], array[p_at], array[null]::bigint[], array[p_at],
		array[null]::text[], array[null]::text[], array[null]::text[],
		array['answered'], array[null]::bigint[], array[null]::bigint[],
		array[null]::bigint[], array[null]::uuid[], array[false], array[p_new],
		'{}'::integer[], '{}'::uuid[], '{}'::text[], '{}'::text[], '{}'::text[],
		'{}'::text[], '{}'::text[], '{}'::bigint[], '{}'::bigint[], '{}'::bigint[],
		'{}'::integer[], '{}'::text[], '{}'::bigint[])
$$;
