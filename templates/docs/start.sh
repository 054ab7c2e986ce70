portal={{ url }}

# The very first account owns the portal; whether more may register, ADMIN_REGISTRATION decides.
curl -fsS "$portal/api/v1/admin/register" -H 'Content-Type: application/json' -d '{
  "username": "olivia", "email": "olivia@example.org",
  "password": "correct horse battery", "confirm_password": "correct horse battery"}'

# A token for an hour. (Staff can make one that lasts in the portal, under API.)
token=$(curl -fsS "$portal/api/v1/admin/login" -H 'Content-Type: application/json' -d '{
  "email": "olivia@example.org", "password": "correct horse battery"}' | sed 's/.*"token":"\([^"]*\)".*/\1/')

# A code for two devices. The key makes it safe to send this again.
code=$(curl -fsS "$portal/api/v1/admin/invitation/generate" -H "Authorization: Bearer $token" \
  -H 'Idempotency-Key: open day, first code' -H 'Content-Type: application/json' -d '{
  "label": "Open day", "max_uses": 2, "expires_in_days": 30}' | sed 's/.*"code":"\([^"]*\)".*/\1/')

# Is it good? This costs no try.
curl -fsS "$portal/api/v1/invitation/$code"

# Let a device in.
curl -fsS -X POST "$portal/api/v1/user/login/$code" -H 'deviceId: a-phone'

# What became of it.
curl -fsS "$portal/api/v1/admin/invitation/history?page=1&size=5" -H "Authorization: Bearer $token"
