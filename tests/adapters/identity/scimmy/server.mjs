// A SCIM 2.0 identity provider on scimmy, as an application uses it: what is stored, unique and deleted is ours, the protocol its own.
import crypto from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [port, token] = [Number(process.argv[2]), process.argv[3]];
const fail = (status, type, text) => { throw new SCIMMY.Types.Error(status, type, text); };

function kept(kind, unique) {
  const store = new Map();
  const stamp = (record, before) => ({
    ...record, id: before?.id ?? crypto.randomUUID(), version: (before?.version ?? 0) + 1,
    created: before?.created ?? new Date().toISOString(), modified: new Date().toISOString(),
  });
  const shown = ({ version, created, modified, ...record }) => ({
    ...record, meta: { resourceType: kind, version: `W/"${version}"`, created, lastModified: modified },
  });
  return {
    ingress: (resource, data) => {
      const before = resource.id === undefined ? undefined : store.get(resource.id) ?? fail(404, null, "no such resource");
      const record = JSON.parse(JSON.stringify(data));
      delete record.meta;
      for (const other of store.values()) {
        if (other.id !== before?.id && String(other[unique]).toLowerCase() === String(record[unique]).toLowerCase()) {
          fail(409, "uniqueness", `${record[unique]} is taken`);
        }
      }
      const after = stamp(record, before);
      store.set(after.id, after);
      return shown(after);
    },
    egress: (resource) => {
      if (resource.id !== undefined) return shown(store.get(resource.id) ?? fail(404, null, "no such resource"));
      const all = [...store.values()].map(shown);
      if (kind === "Group") for (const group of all) group.members ??= []; // its filter on members reads them of every group
      return resource.filter ? resource.filter.match(all) : all;
    },
    degress: (resource) => { store.delete(resource.id) || fail(404, null, "no such resource"); },
  };
}

const users = kept("User", "userName");
const groups = kept("Group", "displayName");
SCIMMY.Resources.declare(SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false))
  .ingress(users.ingress).egress(users.egress).degress(users.degress);
SCIMMY.Resources.declare(SCIMMY.Resources.Group)
  .ingress(groups.ingress).egress(groups.egress).degress(groups.degress);

const app = express();
app.use("/scim", new SCIMMYRouters({
  type: "bearer",
  handler: (request) => {
    if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("not signed in");
    return "caller";
  },
}));
app.listen(port, "127.0.0.1");
